/** Of each document. In a file of its own, because the Worker's entry has it too. */
export const DOCUMENT_BYTES = 200_000
