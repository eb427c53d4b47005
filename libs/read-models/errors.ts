/** The read models can't answer or fold now: closed, out of disk, or their thread died. They come back by themselves where they can. */
export class ReadModelsUnavailable extends Error {
  override readonly name = 'ReadModelsUnavailable';
}

/** Another process, or another projector of this one, folds into the read models of this data folder. */
export class ReadModelsInUse extends Error {
  override readonly name = 'ReadModelsInUse';
  constructor(dataDir: string) {
    super(`the read models in ${dataDir} are in use by another process`);
  }
}
