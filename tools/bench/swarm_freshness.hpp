// What the sessions of a swarm know of freshness. Every session expands what it gets and checks the
// order. Signatures: a statement for a class is verified once, by the first session that has it;
// statements for one reader, and assignments, at one session of kVerifiedEvery.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "common/mutex.hpp"
#include "protocol/trust/verify.hpp"
#include "protocol/wire/messages.hpp"

namespace notp::bench {

using FreshnessPtr = std::shared_ptr<const trust::Freshness>;

// Statements for classes that some session has verified. Thread-safe.
class SwarmStatements {
 public:
  // Null: none has this signature.
  FreshnessPtr find(ByteView signature) const;
  void keep(Bytes signature, FreshnessPtr statement);

 private:
  struct Known {
    Bytes signature;
    FreshnessPtr statement;
  };
  mutable Mutex mutex_;
  std::deque<Known> known_ NOTP_GUARDED_BY(mutex_);  // newest last
};

// Of one session. One thread.
class SwarmFreshness {
 public:
  static constexpr size_t kVerifiedEvery = 64;

  // `statements` outlives it.
  SwarmFreshness(SwarmStatements& statements, std::string trust_domain, std::string audience,
                 bool is_verifying)
      : statements_(statements), is_verifying_(is_verifying) {
    trusted_.audience = std::move(audience);
    trust_domain_ = std::move(trust_domain);
  }

  // What the next session says in its Hello.
  void begin_session(wire::Hello& hello);
  // The errors of verify_update() and expand_freshness_update(). Returns whether the signature was
  // verified here.
  Result<bool> take(const wire::FreshnessUpdate& update, std::shared_ptr<const trust::Root> root);
  Result<bool> take_assignment(ByteView envelope, std::shared_ptr<const trust::Root> root);

 private:
  Result<bool> take_of_class(const wire::FreshnessUpdate& update);
  Result<FreshnessPtr> expand(const wire::FreshnessUpdate& update, bool verify);
  Result<void> check_order(uint64_t sequence) const;

  SwarmStatements& statements_;
  std::string trust_domain_;
  const bool is_verifying_;
  trust::Trusted trusted_;              // without ledgers: heads are not compared
  FreshnessPtr own_base_, class_base_;  // the last ones of this session
};

}  // namespace notp::bench
