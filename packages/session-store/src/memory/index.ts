export { MemoryStorageBackend, type MemoryStorageOptions } from './memory-storage-backend.ts';
