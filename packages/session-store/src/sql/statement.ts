/** One statement with its values, which are all text or null. */
export type Statement = { readonly text: string; readonly values: readonly (string | null)[] };

/** A row: every column is text or null, under a name of lower-case letters. */
export type Row = Readonly<Record<string, unknown>>;

/**
 * The values of one statement. All cross as text and are cast by the server, and results come back as text: then no
 * type parser or serializer that an application has set up for its own queries can change what is stored or read.
 */
export class Parameters {
  readonly values: (string | null)[] = [];

  /** @returns the expression of the value, of type `text` */
  text(value: string | null): string {
    this.values.push(value);
    return `$${this.values.length}::text`;
  }

  bigint(value: number | undefined): string {
    return `${this.text(value === undefined ? null : String(value))}::bigint`;
  }

  /** A duration. */
  interval(milliseconds: number): string {
    return `(${this.text(String(milliseconds))}::double precision * interval '1 millisecond')`;
  }

  /** A moment, in milliseconds since 1970; `undefined` becomes NULL. */
  moment(milliseconds: number | undefined): string {
    const given = this.text(milliseconds === undefined ? null : String(milliseconds));
    return `('epoch'::timestamptz + ${given}::double precision * interval '1 millisecond')`;
  }
}

/** A moment as milliseconds since 1970. */
export function milliseconds(moment: string): string {
  return `round(extract(epoch from ${moment}) * 1000)::bigint`;
}
