// What the service reads of the releases that decide at this node: public keys of issuers, and who
// is denied.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "common/atomic_shared.hpp"
#include "common/jose/key_set.hpp"
#include "common/mutex.hpp"
#include "notp-client/pdp/pdp.hpp"
#include "notp-client/txn/issue/subject.hpp"
#include "protocol/model/tree.hpp"

namespace notp::txn {

// One document keys/<name>/data.json.
struct IssuerKeys {
  Hash document;  // of the file
  std::string issuer;
  std::shared_ptr<const jose::KeySet> keys;  // null: they cannot be read
  std::string fault;                         // why; empty: they can
};

struct DeniedIdentities {
  Hash content_root;  // of the release that lists them
  std::set<std::string, std::less<>> identities;
};

// Of one active set. Immutable.
struct ReleaseFacts {
  pdp::ActiveSetPtr active;                // null: nothing decides yet
  std::map<std::string, IssuerKeys> keys;  // by name
  DeniedIdentities denied;
  // Why it is not known who is denied; empty: it is.
  std::string denied_fault;

  // The keys of an issuer; null: there are none of that name, or they belong to another issuer.
  // `issuer` empty: any.
  std::shared_ptr<const jose::KeySet> find(const std::string& name,
                                           std::string_view issuer = {}) const;
};
using ReleaseFactsPtr = std::shared_ptr<const ReleaseFacts>;

struct ReleaseFactsOptions {
  std::set<std::string> keys;                // names of issuers
  std::optional<model::LedgerId> deny_list;  // nullopt: nobody is denied here
};

// Reads the facts of a set, with what `before` has of the same files. Keys of a ledger that its
// terms deny are not there. Of a deny list that cannot be read, the one before counts.
ReleaseFacts read_facts(const ReleaseFactsOptions& options, const ReleaseFacts& before,
                        pdp::ActiveSetPtr active, const model::BlobLoader& load);

// Keeps the facts of the set that decides. Thread-safe.
class CurrentFacts {
 public:
  // `pdp` and `pool` outlive it; `load` is called on the pool and may block.
  CurrentFacts(ReleaseFactsOptions options, pdp::Pdp& pdp, boost::asio::thread_pool& pool,
               model::BlobLoader load);

  // Of the set that decides now: at once when it is known.
  boost::asio::awaitable<ReleaseFactsPtr> get();

 private:
  const ReleaseFactsOptions options_;
  pdp::Pdp& pdp_;
  boost::asio::thread_pool& pool_;
  const model::BlobLoader load_;
  Mutex reading_;
  AtomicShared<ReleaseFacts> facts_{std::make_shared<const ReleaseFacts>()};
};

}  // namespace notp::txn
