// The interface of every store of grants.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "notp-client/txn/issue/issuer_core.hpp"

namespace notp::txn {

using GrantChange = std::variant<Grant, GrantUse>;  // made; used

// The outcome of a change that is durable.
struct GrantOutcome {
  // Of a use: what to answer with. That of the change, or what the same peer got before with the
  // same jti and request. Of a grant that was made: its number alone.
  GrantedToken token;
  bool is_repeat = false;
};

struct GrantFilter {
  std::string client;  // origin, maker, or covered by `to`; empty: any
  std::string txn;     // one of those by which it came; empty: any
};
struct GrantPage {
  std::vector<Grant> grants;  // in the order of their ids
  std::string next;           // where the next page begins; empty: the last one
};

// What is ended: one grant, or all that a token made; and with each those that were made by its
// uses.
struct GrantRevocation {
  std::string grant, txn;  // one of them
  std::string from;        // the page of `txns`: as RevokedGrants::next said; empty: the first one
};
struct RevokedGrants {
  size_t grants = 0;  // that could still have been used, or passed on: those of this call
  // Of the tokens that were issued by them and may live, in order, for marks on a lane;
  // kTxnGrantsListedMax at most. The same again when it is repeated.
  std::vector<std::string> txns;
  std::string next;  // where the next page begins; empty: the last one
};

// One thread. Times are trusted wall time.
class Grants {
 public:
  virtual ~Grants() = default;

  // nullopt: there is none of that number, or it ended or was revoked. kIo, kCorrupt.
  virtual Result<std::optional<GrantFinding>> find(std::string_view id, std::string_view peer,
                                                   std::string_view jti) = 0;

  // Makes changes durable, all in one transaction, at most kTxnGrantChangesMax; in their order, so
  // that of two uses of one grant the first counts. Each has its own outcome: kGrantUnknown,
  // kGrantUsed, kGrantExpired, kGrantRepeatDiffers, kGrantsFull, kGrantsPerClient. kIo, kCorrupt:
  // nothing may be answered to any of them (kStoreUnavailable); whether they are durable is open,
  // and a repetition will say it.
  virtual Result<std::vector<TokenResult<GrantOutcome>>> apply(std::span<const GrantChange> changes,
                                                               TimeMs now_ms) = 0;

  // kTxnGrantsListedMax grants at most, from `from` on. Looks at kTxnGrantsSeenMax at most: a page
  // may have fewer, or none, and not be the last one.
  virtual Result<GrantPage> list(const GrantFilter& filter, std::string_view from) = 0;
  // Durable. It may be repeated for kTxnGrantRevokedMs, as long as the grant would have lasted:
  // what was ended then is none, its tokens are the same. kNotFound: no such grant; none of a
  // transaction is not an error.
  virtual Result<RevokedGrants> revoke(const GrantRevocation& what, TimeMs now_ms) = 0;
  // Removes a step of what has ended. True: there is more.
  virtual Result<bool> sweep(TimeMs now_ms) = 0;

  virtual size_t size() const = 0;
};

}  // namespace notp::txn
