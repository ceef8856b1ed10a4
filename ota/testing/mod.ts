/**
 * A publisher with keys in memory and a source that a test can spoil.
 *
 * @module
 */
export { memoryKey, Publisher } from "./publisher.ts";
export { type Answer, FolderSource } from "./folder_source.ts";
