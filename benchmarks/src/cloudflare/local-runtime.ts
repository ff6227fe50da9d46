import { mkdtempSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onParentDeath } from 'test-support';
import type { TestHarness, TestHarnessOptions, WorkerHandle } from 'wrangler';
import { Deployment } from './deployment.ts';

export type DeploymentName = 'ours' | 'published';

export const deploymentTitles: Readonly<Record<DeploymentName, string>> = {
  ours: 'ours',
  published: '@tmcp/session-manager-durable-objects 0.3.0',
};

type WorkerInput = TestHarnessOptions['workers'][number];

/** Classes as the two READMEs say: 0.3.0 has no use for SQL. */
const MIGRATIONS = { ours: 'new_sqlite_classes', published: 'new_classes' } as const;

/** Where wrangler writes its log, from its first start to the end of the process. */
let home: string | undefined;

function makeHome(): string {
  const path = mkdtempSync(join(tmpdir(), 'tmcp-bench-'));
  onParentDeath('rm -rf "$1"', path);
  return path;
}

/** workerd, run by wrangler on this machine, with both packages in it, each as three Workers of its own. */
export class LocalRuntime implements AsyncDisposable {
  static async start({ metered = false }: { readonly metered?: boolean } = {}): Promise<LocalRuntime> {
    home ??= makeHome();
    // wrangler neither reports nor asks anything of the network, and writes where nobody looks.
    const restoreEnvironment = setEnvironment({
      HOME: home,
      XDG_CONFIG_HOME: home,
      WRANGLER_SEND_METRICS: 'false',
      WRANGLER_SEND_ERROR_REPORTS: 'false',
      WRANGLER_HIDE_BANNER: 'true',
      CLOUDFLARE_CF_FETCH_ENABLED: 'false',
    });
    const { createTestHarness } = await import('wrangler');
    const harness = createTestHarness({
      root: fileURLToPath(new URL('./workers/', import.meta.url)),
      workers: [...workersOf('ours', metered), ...workersOf('published', metered)],
    });
    try {
      await harness.listen();
    } catch (error) {
      await harness.close();
      restoreEnvironment();
      throw error;
    }
    return new LocalRuntime(harness, restoreEnvironment);
  }

  readonly #harness: TestHarness;
  readonly #restoreEnvironment: () => void;

  private constructor(harness: TestHarness, restoreEnvironment: () => void) {
    this.#harness = harness;
    this.#restoreEnvironment = restoreEnvironment;
  }

  deployment(name: DeploymentName): Deployment {
    const worker = (part: string): WorkerHandle => this.#harness.getWorker(`${name}-${part}`);
    return new Deployment(worker('objects'), worker('holder'), worker('sender'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#harness.close();
    this.#restoreEnvironment();
  }
}

/** For the method of a report. */
export function describeRuntime(): string {
  const from = createRequire(import.meta.url);
  const { version } = from('wrangler/package.json') as { version: string };
  return (
    `Both in one workerd on this machine, run by wrangler ${version}; each is a Worker that owns the objects, one that ` +
    'holds streams and one that sends.'
  );
}

/** @returns puts back what was there */
function setEnvironment(values: Readonly<Record<string, string>>): () => void {
  const before = Object.keys(values).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, values);
  return () => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  };
}

function workersOf(name: DeploymentName, metered: boolean): WorkerInput[] {
  const owner = `${name}-objects`;
  const common = {
    compatibility_date: '2026-09-01',
    kv_namespaces: [{ binding: 'TMCP_SESSION_INFO', id: name }],
    vars: { METERED: metered },
  };
  const binding = { name: 'TMCP_DURABLE_OBJECT', class_name: 'SyncLayer' };
  const caller = (part: string): WorkerInput => ({
    config: {
      ...common,
      name: `${name}-${part}`,
      main: `./${name}.ts`,
      durable_objects: { bindings: [{ ...binding, script_name: owner }] },
    },
  });
  return [
    {
      config: {
        ...common,
        name: owner,
        main: `./${name}-objects.ts`,
        durable_objects: { bindings: [binding] },
        migrations: [{ tag: 'v1', [MIGRATIONS[name]]: ['SyncLayer'] }],
      },
    },
    caller('holder'),
    caller('sender'),
  ];
}
