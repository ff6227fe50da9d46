/** Single values of a shard. */
export class Meta {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  text(key: string): string | undefined {
    const value = this.#get(key);
    return value === undefined ? undefined : String(value);
  }

  number(key: string): number {
    return Number(this.#get(key) ?? 0);
  }

  set(key: string, value: string | number): void {
    this.#sql.exec('INSERT INTO meta (k, v) VALUES (?, ?) ON CONFLICT (k) DO UPDATE SET v = excluded.v', key, value);
  }

  #get(key: string): SqlStorageValue | undefined {
    return this.#sql.exec<{ v: SqlStorageValue }>('SELECT v FROM meta WHERE k = ?', key).toArray()[0]?.v;
  }
}
