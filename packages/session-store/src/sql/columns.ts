import type { FieldName } from '../session-driver.ts';

type Column = { readonly name: string; readonly type: 'text' | 'jsonb' };

const text = (name: string): Column => ({ name, type: 'text' });
const jsonb = (name: string): Column => ({ name, type: 'jsonb' });

/** The columns of the documented table, and of migration 2. */
export const COLUMNS: Readonly<Record<FieldName, Column>> = {
  serverId: text('server_id'),
  serverName: text('server_name'),
  serverUrl: text('server_url'),
  callbackUrl: text('callback_url'),
  transportType: text('transport_type'),
  headers: jsonb('headers'),
  authUrl: text('auth_url'),
  metadata: jsonb('metadata'),
  clientInformation: jsonb('client_information'),
  tokens: jsonb('tokens'),
  codeVerifier: text('code_verifier'),
  clientId: text('client_id'),
  oauthState: jsonb('oauth_state'),
};

export const FIELD_NAMES: readonly FieldName[] = Object.keys(COLUMNS) as FieldName[];

/**
 * A field as its column holds it. The documented table is read by others as well: text columns hold the text itself
 * and not its JSON, and JSONB columns the value. An envelope is no JSON, so in JSONB it stands as a string.
 */
export function toColumn(field: FieldName, value: string): string {
  if (COLUMNS[field].type === 'jsonb') return isEnvelope(value) ? JSON.stringify(value) : value;
  const plain = parseString(value);
  // A plain text that looks like one of the other forms keeps its quotation marks, so that it comes back as it was.
  return plain === undefined || isAmbiguous(plain) ? value : plain;
}

/** The inverse of `toColumn`, also for what others wrote. */
export function fromColumn(field: FieldName, value: string): string {
  const inner = parseString(value);
  if (COLUMNS[field].type === 'jsonb') return inner !== undefined && isEnvelope(inner) ? inner : value;
  if (isEnvelope(value) || (inner !== undefined && isAmbiguous(inner))) return value;
  return JSON.stringify(value);
}

/** No JSON begins like this. */
function isEnvelope(value: string): boolean {
  return value.startsWith('mcpenc:') || value.startsWith('enc:1:');
}

function isAmbiguous(plain: string): boolean {
  return isEnvelope(plain) || plain.startsWith('"');
}

/** What a JSON string says; `undefined` for any other text. */
function parseString(value: string): string | undefined {
  if (!value.startsWith('"')) return undefined;
  try {
    const parsed: unknown = JSON.parse(value);
    return typeof parsed === 'string' ? parsed : undefined;
  } catch {
    return undefined; // A text of another program that happens to begin with a quotation mark.
  }
}
