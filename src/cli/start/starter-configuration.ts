/** The first configuration of the environment `default`: a few light queries, so that lines flow in the first minute. */

const configuration = {
  // As in the flagfile: an operator's own document that leaves them out changes neither.
  options: {
    distributed_interval: 10,
    logger_tls_period: 10,
  },
  schedule: {
    osquery_info: {
      query: 'SELECT uuid, version, config_hash, start_time FROM osquery_info',
      interval: 60,
      snapshot: true,
      description: 'Which osquery runs here',
    },
    os_version: {
      query: 'SELECT name, version, platform, arch FROM os_version',
      interval: 60,
      description: 'The operating system; a line when it changes',
    },
    uptime: {
      query: 'SELECT days, hours, minutes, total_seconds FROM uptime',
      interval: 10,
      snapshot: true,
      description: 'A sign of life every ten seconds',
    },
    users: {
      query: 'SELECT uid, username, description, directory FROM users',
      interval: 30,
      description: 'Accounts; a line when one appears or goes',
    },
    largest_processes: {
      query: 'SELECT pid, name, resident_size, total_size FROM processes ORDER BY resident_size DESC LIMIT 5',
      interval: 30,
      snapshot: true,
      description: 'The five processes with most memory',
    },
  },
  decorators: {
    load: ['SELECT uuid AS host_uuid FROM system_info', 'SELECT hostname FROM system_info'],
  },
}

export const STARTER_CONFIGURATION: string = JSON.stringify(configuration)
