// What is written to an OPA's data.tokens, and when: pure.
// notp-client/pdp/README.md, "Tokens in OPA".
//
// The document is the one that rego::opa_tokens_module() reads:
//
//   instance whose document it is
//   proof    what makes the module believe it: in the frame alone, which goes to an OPA that has
//            just refused calls without a secret, and never read
//   lane     {"name", "mode", "state", "ages", "revision", "complete", "serves", "hard_ms",
//             "live_ms", "now_ms"} and "heard_ms" unless nothing was heard
//   live     records by the id of their token, in hexadecimal
//   deleted  Unix times at which they may be forgotten, by the ids of revoked tokens
//   marks    Unix times up to which what was issued is revoked, by the key of the mark
//   lists    {"size", "until_s", "set": {index: status}} without those that are 0, by the key of
//            the list
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.hpp"
#include "common/result.hpp"
#include "notp-client/pdp/opa_token_changes.hpp"

namespace notp::pdp {

enum class OpaTokensState : uint8_t {
  kWaiting,      // OPA does not answer, or does not take the secret yet
  kUnprotected,  // it lets anybody read or write; nothing is written
  kRefused,      // it does not take what is written
  kFilling,      // it has not got everything yet
  kReady,        // it decides with what it was last given
};
std::string_view opa_tokens_state_name(OpaTokensState state);

struct OpaTokensStatus {
  OpaTokensState state = OpaTokensState::kWaiting;
  size_t tokens = 0;    // that it has or is about to get, with the statuses of lists
  size_t refused = 0;   // because of tokens_max: unknown to OPA, so their lookups are undefined
  size_t lists = 0;     // that were refused: all that they say is revoked
  std::string finding;  // for a person: what is wrong and what to do; empty: nothing
  bool operator==(const OpaTokensStatus&) const = default;
};

// One call to OPA.
struct OpaTokensCall {
  std::string method;
  std::string path;  // below OPA's URL
  std::string content_type;
  Bytes body;
  bool has_secret = true;
};

// One thread. At most one call is under way.
class OpaTokens {
 public:
  using Done = std::function<void(Result<void>)>;

  // `instance` is unique to this object: by it OPA's document is known to be the one that was begun
  // here. `proof`: its hash is in the module; a secret.
  OpaTokens(std::string instance, std::string proof, OpaTokensLimits limits = {});

  void apply(lane::TableUpdate update, Done done);
  // OPA has reported: it may be another process, or able to do more than before.
  void on_status(TimeMs now_ms);

  // The next call, which on_answer() has to follow; nullopt: nothing to do before next_deadline().
  std::optional<OpaTokensCall> next(TimeMs now_ms);
  // `status` 0: no answer, and `body` says why.
  void on_answer(unsigned status, ByteView body, TimeMs now_ms);
  std::optional<TimeMs> next_deadline() const;

  // What has been finished; call them in this order.
  std::vector<std::pair<Done, Result<void>>> take_finished();
  // Whether the whole table is needed; once for each time that it was lost.
  bool take_lost();
  OpaTokensStatus status() const;

 private:
  // In this order; up to kFrame nothing is written.
  enum class Step : uint8_t {
    kProbeRead,
    kProbeWrite,
    kProbeQuery,
    kProbeSecret,
    kTable,  // the whole of it is awaited
    kFrame,
    kPatch,
    // After the frame and each status, before anything more is written: is it still protected, and
    // our document?
    kCheckRead,
    kCheckInstance,
  };
  OpaTokensCall frame() const;
  void on_probe(unsigned status, TimeMs now_ms);
  void on_secret(unsigned status, TimeMs now_ms);
  void on_instance(unsigned status, ByteView body, TimeMs now_ms);
  bool is_written(unsigned status, ByteView body, TimeMs now_ms);
  void on_patched();
  void lose(OpaTokensState state, std::string finding, TimeMs now_ms);
  void lose_at_once(TimeMs now_ms);

  const std::string instance_, proof_;
  const OpaTokensLimits limits_;
  OpaTokenChanges changes_;
  OpaTokensState state_ = OpaTokensState::kWaiting;
  std::string finding_;
  Step step_ = Step::kProbeRead;
  bool is_calling_ = false, has_table_ = false, is_lost_ = false;
  bool needs_check_ = false;
  TimeMs retry_at_ms_ = 0;
  int64_t retry_ms_ = 0;
  std::vector<std::pair<Done, Result<void>>> finished_;
};

}  // namespace notp::pdp
