// Certificates and log keys of simulated nodes, and of their registry. They are the same in every
// world, and made once by each thread: a world has no time for libcrypto.
#pragma once

#include <memory>
#include <string>

#include "protocol/record/announcement.hpp"
#include "protocol/record/log_id.hpp"

namespace notp::sim {

struct LogKey {
  std::shared_ptr<const PrivateKey> key;
  PublicKey public_key;
  record::LogId log;
};

// The SPIFFE id of a node.
std::string node_id(size_t node);
// The key of a node's log with this number, counted over the node's life.
LogKey log_key(size_t node, size_t number);
// The announcement of a log by the node's certificate.
Bytes announce(size_t node, const record::Announcement& announcement);

// The same of the registry and its tree: a tree has one key.
std::string registry_id();
PrivateKey tree_key(size_t number);
Bytes announce_tree(const record::Announcement& announcement);

}  // namespace notp::sim
