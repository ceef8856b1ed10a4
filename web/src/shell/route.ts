import { useSyncExternalStore } from "react";

/** A page of the console; its address is `#/name`. */
export type Page = "boxes" | "events" | "people" | "access" | "updates";

/** Every page, in the order of the menu. */
export const PAGES: readonly Page[] = ["boxes", "events", "people", "access", "updates"];

/** The page in the address bar; a hash, so that the district serves one file for all. */
export function usePage(): Page {
  return useSyncExternalStore(
    (listener) => {
      globalThis.addEventListener("hashchange", listener);
      return () => globalThis.removeEventListener("hashchange", listener);
    },
    () => PAGES.find((page) => location.hash === `#/${page}`) ?? "boxes",
  );
}
