export { FileStorageBackend, type FileStorageOptions } from './file-storage-backend.ts';
