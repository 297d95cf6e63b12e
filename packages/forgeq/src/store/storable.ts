// Texts that may hold anything, as every store can keep them.

/** Without NUL, at which SQLite ends a text and which PostgreSQL does not take: it is U+FFFD. */
export const storable = (text: string): string => text.replaceAll('\0', '\uFFFD')
