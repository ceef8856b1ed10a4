/**
 * Small parts that several pages use.
 *
 * @module
 */
export * from "./copy_button.tsx";
export * from "./fault_notice.tsx";
export * from "./page_head.tsx";
export * from "./sentence_text.tsx";
