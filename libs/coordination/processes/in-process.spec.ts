import { createProcessBoard } from '#coordination/processes';
import { processBoardContract } from '../../../test/support/process-board-contract.ts';
import { simulatedClock } from '../../../test/support/simulated-clock.ts';

processBoardContract('in one process', () => {
  const clock = simulatedClock();
  return Promise.resolve({ board: createProcessBoard(clock), pass: (ms) => clock.advance(ms), dispose: () => Promise.resolve() });
});
