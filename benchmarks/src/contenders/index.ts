import type { Contender } from './contender.ts';
import { channelPerSession, notify } from './notify.ts';
import { ours } from './ours.ts';
import { published } from './published.ts';
import { socketIo } from './socket-io.ts';

export type ContenderName = 'ours' | 'ours-async' | 'notify' | 'channel-per-session' | 'socket-io' | 'published';

export const contenders: Readonly<Record<ContenderName, Contender>> = {
  ours: ours('commit'),
  'ours-async': ours('async'),
  notify,
  'channel-per-session': channelPerSession,
  'socket-io': socketIo,
  published,
};
