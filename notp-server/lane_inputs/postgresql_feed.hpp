// Listens to a channel of PostgreSQL.
#pragma once

#include <filesystem>
#include <string>

#include "common/host_port.hpp"
#include "notp-server/lane_inputs/token_feed.hpp"

namespace notp::lane_inputs {

struct PostgresqlTerms {
  HostPort at;
  std::string database, user;
  std::string channel;  // lower case: what NOTIFY and LISTEN make of a name
  std::filesystem::path
      password_file;         // readable by its owner alone; empty: none. Read on each use
  std::filesystem::path ca;  // of the server; empty: without TLS
};

TokenFeedPtr make_postgresql_feed(PostgresqlTerms terms);

}  // namespace notp::lane_inputs
