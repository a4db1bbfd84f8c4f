// Applies the events of sources to the store of a lane: what is kept, what is refused, and what
// wins. notp-server/lane/README.md, "Rules".
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/clock.hpp"
#include "notp-server/lane/event_store.hpp"
#include "notp-server/lane/grants.hpp"
#include "notp-server/lane/intake.hpp"

namespace notp::lane {

struct RuleTerms {
  int64_t life_max_s = 0;  // the longest life of a token
  Attributes attributes;   // what may be kept of a token
  uint64_t tokens_max = 0;
};

// What became of one event.
struct Ruling {
  std::optional<Error> refused;
  std::optional<Row> row;  // it has changed the lane; absent: nothing is new, or it was refused
};

class IntakeRules {
 public:
  explicit IntakeRules(RuleTerms terms) : terms_(terms) {}

  // Inside of a transaction of the store; its errors are the store's.
  Result<Ruling> apply(const std::string& source, const IncomingEvent& event, int64_t now_s,
                       EventStore& store) const;

 private:
  Result<Ruling> on(const TokenAdded& added, int64_t now_s, EventStore& store) const;
  Result<Ruling> on(const TokenDeleted& deleted, int64_t now_s, EventStore& store) const;
  Result<Ruling> on(const Revoked& revoked, int64_t now_s, EventStore& store) const;
  Result<Ruling> on(const ListFetched& list, int64_t now_s, EventStore& store) const;

  const RuleTerms terms_;
};

// Reads a record from members named as in RFC 7662 and RFC 9068; what is not in `allowed` is left
// out. Without `exp`, it is `default_exp_s`; 0: kMessage. kMessage names a member of another type.
Result<feed::TokenRecord> read_record(const json::object& attributes, const Attributes& allowed,
                                      int64_t default_exp_s);
}  // namespace notp::lane
