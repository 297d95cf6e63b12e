// What every job carries: about 30 bytes of JSON.
export const payload = (n) => ({ n, to: 'someone@example.org' })

export const payloads = (count, first = 0) => Array.from({ length: count }, (_, i) => payload(first + i))
