import { median } from './statistics.ts';

/** What one variant measured in one round, by name. */
export type Figures = Readonly<Record<string, number>>;

const WARM_UPS = 3;

/**
 * Runs variants in turns, so that whatever else the machine does meets all of them. Each round begins with another
 * one. The first rounds warm up and are thrown away: a server runs for days, the first seconds of its compiler do not
 * matter.
 */
export async function interleave<Name extends string>(
  rounds: number,
  variants: Readonly<Record<Name, () => Promise<Figures>>>,
): Promise<Rounds<Name>> {
  const warmUps = Math.min(WARM_UPS, rounds);
  const names = Object.keys(variants) as Name[];
  const figures = new Map<Name, Figures[]>(names.map((name) => [name, []]));
  for (let round = -warmUps; round < rounds; round += 1) {
    for (let turn = 0; turn < names.length; turn += 1) {
      const name = names[(turn + round + warmUps) % names.length] as Name;
      const measured = await variants[name]();
      if (round >= 0) figures.get(name)?.push(measured);
    }
  }
  return new Rounds(figures);
}

/** The figures of all rounds. */
export class Rounds<Name extends string> {
  readonly #figures: ReadonlyMap<Name, readonly Figures[]>;

  constructor(figures: ReadonlyMap<Name, readonly Figures[]>) {
    this.#figures = figures;
  }

  values(variant: Name, figure: string): number[] {
    return (this.#figures.get(variant) ?? []).map((round) => round[figure] ?? Number.NaN);
  }

  median(variant: Name, figure: string): number {
    return median(this.values(variant, figure));
  }

  /** Median over the rounds of the ratio in each round: a slow moment of the machine slows both. */
  ratio(figure: string, variant: Name, base: Name): number {
    const below = this.values(base, figure);
    return median(this.values(variant, figure).map((value, round) => value / (below[round] ?? Number.NaN)));
  }
}
