/** Another process, or another store of this one, holds the data folder. */
export class DataDirInUse extends Error {
  override readonly name = 'DataDirInUse';
  readonly dataDir: string;
  constructor(dataDir: string) {
    super(`the data folder ${dataDir} is in use by another process`);
    this.dataDir = dataDir;
  }
}

/** The log was written by a later version of the program, whose form this one does not know. */
export class NewerLog extends Error {
  override readonly name = 'NewerLog';
  readonly version: number;
  constructor(dataDir: string, version: number, known: number) {
    super(`the event log in ${dataDir} has form ${version}; this program knows up to ${known}: run the version that wrote it, or a later one`);
    this.version = version;
  }
}
