// Makes texts that come from jobs harmless on a terminal.

/** Names, tags, messages and logs are other people's: on a terminal they must not move the cursor nor colour the page. */
export const harmless = (text: string): string =>
  text.replace(/[^\P{Cc}\n\t]/gu, (char) =>
    char === '\r' ? '' : `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`,
  )

/** The same on one line. */
export const oneLine = (text: string): string => harmless(text).replace(/\s+/g, ' ').trim()
