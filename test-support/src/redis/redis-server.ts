import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../free-port.ts';
import { onParentDeath } from '../on-parent-death.ts';
import { type SelfSigned, selfSigned } from '../self-signed.ts';
import { giveToServer, makeServerDirectory } from '../server-account.ts';
import { missing } from '../service.ts';
import { waitFor } from '../wait-for.ts';
import { redisOnce } from './redis-once.ts';
import { RedisProcess } from './redis-process.ts';
import { type RedisPrograms, redisServer } from './redis-programs.ts';

/** Lines of `redis.conf`: `{ appendonly: 'yes', save: '900 1', replicaof: '127.0.0.1 7000' }`. */
export type RedisSettings = Readonly<Record<string, string | number>>;

export interface RedisServerOptions {
  /**
   * Added to `redis.conf`. By default nothing is written to disk. Only with `appendonly: 'yes'` and
   * `appendfsync: 'always'` a killed server has kept all that it acknowledged: with `everysec`, Redis answers before
   * it has written while the disk is busy with the second before.
   */
  readonly settings?: RedisSettings | undefined;
  /** Only TLS, with a certificate for the loopback address (needs `openssl`). @default false */
  readonly tls?: boolean | undefined;
  /** @default a free one */
  readonly port?: number | undefined;
  /** Starts a sentinel. @default false */
  readonly sentinel?: boolean | undefined;
}

export interface RedisRestartOptions {
  /** False empties the data directory. What was never written to disk is lost by a kill in any case. */
  readonly keepData: boolean;
  /** `listening` resolves while it is still loading its data. @default 'ready' */
  readonly until?: 'listening' | 'ready' | undefined;
}

/** A Redis server of our own, on a loopback port, with a data directory that is removed in the end. */
export class RedisServer implements AsyncDisposable {
  static async start({
    settings = {},
    tls = false,
    port,
    sentinel = false,
  }: RedisServerOptions = {}): Promise<RedisServer> {
    const programs = redisServer.find();
    if (programs === undefined) throw new Error(missing(redisServer));
    const certificate = tls ? await selfSigned() : undefined;
    const server = new RedisServer(programs, port ?? (await freePort()), settings, certificate, sentinel);
    try {
      await server.start();
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  readonly host: string = '127.0.0.1';
  readonly port: number;
  /** For example `7.0.15`. */
  readonly version: string;
  /** The certificate that clients have to trust, when it speaks TLS. */
  readonly ca: string | undefined;
  readonly #programs: RedisPrograms;
  readonly #settings: RedisSettings;
  readonly #certificate: SelfSigned | undefined;
  readonly #sentinel: boolean;
  readonly #home: string;
  readonly #callOffCleaning: () => void;
  #process: RedisProcess | undefined;

  private constructor(
    programs: RedisPrograms,
    port: number,
    settings: RedisSettings,
    certificate: SelfSigned | undefined,
    sentinel: boolean,
  ) {
    this.port = port;
    this.version = programs.version;
    this.ca = certificate && readFileSync(certificate.certificate, 'utf8');
    this.#programs = programs;
    this.#settings = settings;
    this.#certificate = certificate;
    this.#sentinel = sentinel;
    this.#home = makeServerDirectory('tmcp-redis-');
    this.#callOffCleaning = onParentDeath(CLEAN_UP, this.#pidFile, this.#home);
    this.#writeConfiguration();
  }

  /** Address of the server, password included. */
  get url(): string {
    const password = this.#settings.requirepass;
    const login = password === undefined ? '' : `:${encodeURIComponent(password)}@`;
    return `${this.#certificate ? 'rediss' : 'redis'}://${login}${this.host}:${this.port}`;
  }

  /** The process of the server, as long as it runs. */
  get pid(): number | undefined {
    return this.#process?.isRunning ? this.#process.pid : undefined;
  }

  /** What the server wrote to its log since its last start. */
  get log(): string {
    return this.#process?.log ?? '';
  }

  /** Runs one command on a connection of its own. */
  command(name: string, ...args: (string | number)[]): Promise<unknown> {
    return redisOnce(this.url, [name, ...args], { ca: this.ca });
  }

  /** A value of `INFO`. */
  async info(name: string): Promise<string | undefined> {
    const lines = String(await this.command('INFO')).split('\r\n');
    return lines.find((line) => line.startsWith(`${name}:`))?.slice(name.length + 1);
  }

  /** Starts a server again that was killed or shut down. */
  async start({ until = 'ready' }: Pick<RedisRestartOptions, 'until'> = {}): Promise<void> {
    if (this.#process?.isRunning) return;
    const mode = this.#sentinel ? ['--sentinel'] : [];
    const started = await RedisProcess.spawn(this.#programs.server, [this.#configuration, ...mode]);
    this.#process = started;
    const answers = async (): Promise<boolean> => {
      if (!started.isRunning) return true;
      try {
        return (await this.command('PING')) === 'PONG';
      } catch (error) {
        if (until === 'listening' && String(error).includes('LOADING')) return true;
        throw error;
      }
    };
    await waitFor(answers, { timeoutMs: 30_000, message: () => `Redis to start; its log:\n${started.log}` });
    if (!started.isRunning) throw new Error(`Redis did not start; its log:\n${started.log}`);
  }

  /** Orderly shutdown; `start` brings the server back, with its data when it was to save them. */
  async shutDown({ save = true }: { readonly save?: boolean } = {}): Promise<void> {
    const running = this.#process;
    if (!running?.isRunning) return;
    running.thaw();
    if (save && !this.#sentinel) {
      // The connection ends without an answer. When the server refused, the signal below ends it.
      await this.command('SHUTDOWN', 'SAVE').catch(() => {});
    }
    await running.end('SIGTERM');
    this.#forgetPid();
  }

  /** Ends the server in order, if it was not killed before, and starts it on the same port. */
  async restart({ keepData, until }: RedisRestartOptions): Promise<void> {
    await this.shutDown({ save: keepData });
    if (!keepData) {
      rmSync(this.#data, { recursive: true, force: true });
      this.#writeConfiguration();
    }
    await this.start({ until });
  }

  /** SIGKILL: nothing is said to anybody, as when its machine loses power. */
  async kill(): Promise<void> {
    await this.#process?.end('SIGKILL');
    this.#forgetPid();
  }

  /** SIGSTOP: connections stay open and nobody answers. */
  freeze(): void {
    this.#process?.freeze();
  }

  /** SIGCONT after `freeze`. */
  thaw(): void {
    this.#process?.thaw();
  }

  /** Ends the server and removes all its data. */
  async stop(): Promise<void> {
    if (this.#process?.isRunning) await this.#process.end('SIGKILL');
    this.#callOffCleaning();
    rmSync(this.#home, { recursive: true, force: true });
    this.#certificate?.[Symbol.dispose]();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  get #data(): string {
    return join(this.#home, 'data');
  }

  get #configuration(): string {
    return join(this.#home, 'redis.conf');
  }

  get #pidFile(): string {
    return join(this.#home, 'redis.pid');
  }

  /** The number may be another process's soon. */
  #forgetPid(): void {
    rmSync(this.#pidFile, { force: true });
  }

  /** Written at first and when all is to be forgotten: sentinels and their servers keep what they learn in this file. */
  #writeConfiguration(): void {
    mkdirSync(this.#data, { recursive: true });
    const settings: Record<string, string | number> = {
      bind: this.host,
      dir: this.#data,
      pidfile: this.#pidFile,
      ...(this.#certificate === undefined
        ? { port: this.port }
        : {
            port: 0,
            'tls-port': this.port,
            'tls-cert-file': this.#certificate.certificate,
            'tls-key-file': this.#certificate.key,
            'tls-ca-cert-file': this.#certificate.certificate,
            'tls-auth-clients': 'no',
          }),
      ...(this.#sentinel ? {} : { save: '', appendonly: 'no', 'repl-diskless-sync-delay': 0 }),
      ...this.#settings,
    };
    const lines = Object.entries(settings).map(([name, value]) => `${name} ${value === '' ? '""' : value}\n`);
    writeFileSync(this.#configuration, lines.join(''));
    giveToServer(this.#data, this.#configuration);
  }
}

/** @see RedisServer */
export function startRedis(options?: RedisServerOptions): Promise<RedisServer> {
  return RedisServer.start(options);
}

/** For `onParentDeath`: ends a server whose starter was killed, frozen or not, and removes its files. */
const CLEAN_UP = `
  if read -r pid < "$1"; then kill -KILL "$pid"; fi
  rm -rf "$2"
`;
