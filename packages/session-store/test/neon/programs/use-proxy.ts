import { neonConfig } from '@neondatabase/serverless';

// For `--import`: a program that knows nothing of tests speaks to the proxy that its connection string names.
neonConfig.fetchEndpoint = (host, port) => `http://${host}:${port}/sql`;
