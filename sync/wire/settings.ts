/** What {@link settingsFaults} looks at. */
export interface SettingsParts {
  readonly holidays: readonly { readonly id: string }[];
  readonly schedules: readonly { readonly id: string }[];
  readonly accessLevels: readonly {
    readonly id: string;
    readonly grants: readonly { readonly schedule: string }[];
  }[];
}

/**
 * What is wrong between the parts of policy settings (each part alone is checked by its schema):
 * ids that appear twice, references to nothing, levels taken away from people who have them.
 */
export function settingsFaults(
  settings: SettingsParts,
  levelsInUse: readonly string[],
): readonly string[] {
  const faults: string[] = [];
  const unique = (what: string, items: readonly { readonly id: string }[]): Set<string> => {
    const ids = new Set<string>();
    for (const { id } of items) {
      if (ids.has(id)) faults.push(`${what} ${id} stands there twice`);
      ids.add(id);
    }
    return ids;
  };
  unique("holiday", settings.holidays);
  const schedules = unique("schedule", settings.schedules);
  const levels = unique("access level", settings.accessLevels);
  if (schedules.has("always")) faults.push("schedule always is built in; choose another id");
  for (const { id, grants } of settings.accessLevels) {
    for (const { schedule } of grants) {
      if (schedule !== "always" && !schedules.has(schedule)) {
        faults.push(`access level ${id} names the schedule ${schedule}, which does not exist`);
      }
    }
  }
  for (const level of levelsInUse) {
    if (!levels.has(level)) {
      faults.push(`access level ${level} is missing, but cardholders have it; change them first`);
    }
  }
  return faults;
}
