/** An order that people have got used to: what is still there stays where it is, what is new comes after it. */
export const keepOrder = (before: readonly string[], now: readonly string[]): string[] => [...before.filter((name) => now.includes(name)), ...now.filter((name) => !before.includes(name))]
