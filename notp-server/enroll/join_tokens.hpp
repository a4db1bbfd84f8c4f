// Stores valid join tokens, and the keys of the nodes that have a name here. One SQLite file.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include "common/clock.hpp"
#include "common/crypto/digest.hpp"
#include "common/mutex.hpp"

namespace SQLite {
class Database;
}

namespace notp::enroll {

// The known key of a node, as SHA-256 of its SubjectPublicKeyInfo.
struct NodeKey {
  Hash key;     // of its newest certificate
  Hash former;  // valid until `key` is first seen; zero: none
  // The name was given to this key by a join that replaced another one: other keys are refused.
  // Until then certificates may come from elsewhere, and any key that the authorities certify is
  // accepted.
  bool is_bound = false;
};

// Thread-safe; blocking, except check(), knows() and changes_key(), which read memory.
class JoinTokens {
 public:
  // Tokens of an earlier format are migrated. kCorrupt, kIo.
  static Result<std::unique_ptr<JoinTokens>> open(const std::filesystem::path& file);
  ~JoinTokens();

  // copy_database() of it.
  Result<void> copy_to(const std::filesystem::path& file);

  // --- tokens

  struct NewToken {
    Hash secret;  // SHA-256 of the secret, which itself is not stored
    std::string node;
    std::string issuer;  // the identity that requested it
    TimeMs expires_ms = 0;
    bool replaces = false;  // the node's name may already have a key
  };
  // Durable when it returns. kLimit above kJoinTokensMax outstanding tokens.
  Result<void> add(const NewToken& token, TimeMs now_ms);

  struct Used {
    std::string node;
    std::string issuer;
    std::string certificate;
    bool is_again = false;      // the answer was lost: the certificate of the first join
    bool has_replaced = false;  // another key had the name, or may have had it
  };
  // Gives the token's name to the key and uses the token up, if `issue` succeeds with the name: of
  // several keys that race for a token one wins, and a failed join leaves the token as it was. For
  // the key that won, the certificate is returned again during the token's life, since the answer
  // may have been lost. kJoinRefused states for the log whether the token is unknown, used,
  // expired, or may not replace the name's holder; the peer only learns that the token is invalid.
  // kLimit above kKnownNodesMax names.
  Result<Used> use(const Hash& secret, const Hash& key, TimeMs now_ms,
                   const std::function<Result<std::string>(const std::string& node)>& issue);

  // --- names

  bool knows(const std::string& node) const;
  // kRevoked when another key has the name.
  Result<void> check(const std::string& node, const Hash& key) const;
  // Whether seen() is to be called.
  bool changes_key(const std::string& node, const Hash& key) const;
  // A node has proved that it has this key, which check() accepts. True: the former key is no
  // longer valid. An unknown name becomes known.
  Result<bool> seen(const std::string& node, const Hash& key);
  // A node with the key `from` gets a certificate for the key `to`. Durable when it returns.
  Result<void> renewed(const std::string& node, const Hash& from, const Hash& to);

 private:
  JoinTokens(std::unique_ptr<SQLite::Database> database,
             std::unordered_map<std::string, NodeKey> nodes);
  NodeKey find_node(const std::string& node) const;  // zero key: unknown
  Result<void> check_room(const std::string& node) const;

  Mutex mutex_;
  const std::unique_ptr<SQLite::Database> database_ NOTP_GUARDED_BY(mutex_);
  mutable SharedMutex nodes_mutex_ NOTP_ACQUIRED_AFTER(mutex_);
  std::unordered_map<std::string, NodeKey> nodes_ NOTP_GUARDED_BY(nodes_mutex_);
};

}  // namespace notp::enroll
