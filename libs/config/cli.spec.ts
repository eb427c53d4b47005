import { inspect } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { readCliEnvironment } from './cli.ts';

describe('the environment of kf', () => {
  it('is empty by default, with the places people expect', () => {
    expect(readCliEnvironment({}, '/home/sam')).toEqual({
      server: undefined,
      apiKey: undefined,
      profile: undefined,
      configFile: '/home/sam/.config/kf/config.json',
      rootKeyFile: 'data/root.key',
      noColor: false,
      program: ['kf'],
    });
  });

  it('takes what is set, and holds the key as a secret', () => {
    const environment = readCliEnvironment({ KF_SERVER: 'http://127.0.0.1:9', KF_API_KEY: 'kf_secret', KF_PROFILE: 'demo', XDG_CONFIG_HOME: '/etc/xdg', KF_DATA_DIR: '/srv/kf', NO_COLOR: '1' }, '/home/sam');
    expect(environment).toMatchObject({ server: 'http://127.0.0.1:9', profile: 'demo', configFile: '/etc/xdg/kf/config.json', rootKeyFile: '/srv/kf/root.key', noColor: true });
    expect(environment.apiKey?.reveal()).toBe('kf_secret');
    expect(inspect(environment) + JSON.stringify(environment)).not.toContain('kf_secret');
  });

  it('counts what is set but empty as unset, and ignores a relative configuration folder', () => {
    expect(readCliEnvironment({ KF_SERVER: '', KF_API_KEY: '', NO_COLOR: '', XDG_CONFIG_HOME: 'config' }, '/home/sam')).toEqual(readCliEnvironment({}, '/home/sam'));
  });

  it('knows whether npx started it, so that a line to type next runs as this one did', () => {
    expect(readCliEnvironment({ npm_command: 'exec' }, '/home/sam').program).toEqual(['npx', 'kf']);
    expect(readCliEnvironment({ npm_command: 'run-script' }, '/home/sam').program).toEqual(['kf']);
  });

  it('paints nothing on a dumb terminal', () => {
    expect(readCliEnvironment({ TERM: 'dumb' }, '/home/sam').noColor).toBe(true);
  });
});
