import { App } from "antd";
import { useState } from "react";
import type { PolicySettings } from "../api/mod.ts";
import { useMessages } from "../i18n/mod.ts";
import { faultText } from "../ui/mod.ts";
import type { TabProps } from "./tab.tsx";

type ListName = "accessLevels" | "schedules" | "holidays";
type Entry<K extends ListName> = PolicySettings[K][number];

/** What an editor works on: a new entry, or the one with `id`. */
export type Editing<T> = { readonly entry: T | undefined };

/** The entries of one list, and changing them. */
export interface Entries<T> {
  readonly editing: Editing<T> | undefined;
  readonly add: () => void;
  readonly edit: (entry: T) => void;
  readonly close: () => void;
  readonly put: (entry: T) => Promise<void>;
  readonly remove: (id: string) => Promise<void>;
  /** Ids that a new entry may not take. */
  readonly taken: ReadonlySet<string>;
}

/** Edits the list `name` of the settings. */
export function useEntries<K extends ListName>(
  name: K,
  { settings, save }: TabProps,
): Entries<Entry<K>> {
  const t = useMessages();
  const { message } = App.useApp();
  const [editing, setEditing] = useState<Editing<Entry<K>>>();
  const list = settings[name] as readonly Entry<K>[];
  const store = async (next: readonly Entry<K>[]): Promise<boolean> => {
    const fault = await save({ [name]: next } as Partial<PolicySettings>);
    if (fault === undefined) void message.success(t.saved);
    else void message.error({ content: faultText(fault, t), duration: 8 });
    return fault === undefined;
  };
  return {
    editing,
    taken: new Set(list.map((entry) => entry.id)),
    add: () => setEditing({ entry: undefined }),
    edit: (entry) => setEditing({ entry }),
    close: () => setEditing(undefined),
    put: async (entry) => {
      const known = list.some(({ id }) => id === entry.id);
      const next = known
        ? list.map((each) => each.id === entry.id ? entry : each)
        : [...list, entry];
      if (await store(next)) setEditing(undefined);
    },
    remove: async (id) => {
      await store(list.filter((entry) => entry.id !== id));
    },
  };
}
