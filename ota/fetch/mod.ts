/**
 * Fetching of what is trusted, to files.
 *
 * @module
 */
export { download, type DownloadOptions, pathOf } from "./download.ts";
