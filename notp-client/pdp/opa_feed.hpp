// What an OPA is given and what it has said about it: the bundle and status services without I/O.
//
// Facts about OPA that this rests on, each pinned by a test against the real program:
// - It asks again at once after a 200 or a 304, with If-None-Match naming what it *activated*. So a
// request
//   that does not name what was served last says that it was refused.
// - Its status names the active revision, and the errors of the last attempt, but not which bundle
// was
//   attempted. So what was served to it is remembered in order.
// - Status is posted after each attempt, never again when that is lost.
#pragma once

#include <deque>
#include <map>
#include <set>

#include "notp-client/pdp/bundle.hpp"

namespace notp {

// One thread. No clock: the caller holds requests open.
class OpaFeed {
 public:
  // What to decide with from now on. An outcome that is known already comes back at once: a bundle
  // that OPA has refused is not offered again, one that it decides with needs no other word.
  std::optional<PdpOutcome> offer(OpaBundlePtr bundle);

  struct Answer {
    OpaBundlePtr bundle;    // set: 200 with it
    std::string held_etag;  // else: 304 with this one
    bool at_once = false;   // 304 now, for OPA to post its status; else when something changed, or
                            // the time is over
  };
  // A bundle request by the OPA `instance`. Ask again after every change until there is a bundle.
  Answer on_request(const std::string& instance, std::string_view if_none_match);

  // A status document of OPA: the body it posts, or "result" of its GET /v1/status.
  std::vector<PdpOutcome> on_status(const std::string& instance, const json::value& status);
  // The instance that a status without a header of ours belongs to.
  std::string instance_by_label(const json::value& status) const;

 private:
  struct Instance {
    std::string label;                // OPA's labels.id: another one is another process
    std::deque<OpaBundlePtr> served;  // without a verdict yet, oldest first
    OpaBundlePtr holds;               // by its latest word
    std::string active_etag;          // by its status
    std::string nudged_etag;          // a 304 at once was spent on this one
    std::string judged_request;       // last_request of the last error that was understood
  };

  OpaBundlePtr to_serve() const;
  // Drops what was served up to the last answer with this etag; the bundle, or null when none had
  // it.
  static OpaBundlePtr forget_up_to(Instance& instance, std::string_view etag);
  OpaBundlePtr known(const Instance& instance, std::string_view revision) const;
  Instance& instance_of(const std::string& name);
  void on_active(Instance& instance, const OpaBundlePtr& bundle, std::vector<PdpOutcome>& outcomes);
  void on_failure(Instance& instance, const json::object& bundle,
                  std::vector<PdpOutcome>& outcomes);
  void reject(const OpaBundlePtr& bundle, Error error, std::vector<PdpOutcome>& outcomes);

  OpaBundlePtr offered_;
  OpaBundlePtr good_;                      // the last one that an OPA decided with
  std::map<std::string, Error> rejected_;  // by etag
  std::deque<std::string> rejected_order_;
  std::map<std::string, Instance> instances_;
};

// The errors of OPA's status as lines "file:row:column: code: message".
std::string opa_errors_text(const json::object& bundle_status);

// The configuration that makes an unmodified `opa run --server` decide with the agent's model:
// YAML. `agent_url` is where the agent listens, without a slash at the end, and `token_path` the
// file with the secret that it has to show there; the secret itself is not written. With several
// OPAs at one agent give each an `instance` of its own. Bundles are not persisted by OPA: the agent
// has them in its store and serves them before it has a network, and a copy of OPA's would be a
// second truth that nobody verifies.
std::string opa_config(std::string_view agent_url, std::string_view token_path,
                       std::string_view instance = "opa");

inline constexpr std::string_view kOpaInstanceHeader = "X-Notp-Instance";
// The oldest OPA that the tests run against; older ones around 1.9 lose decision logs.
inline constexpr std::string_view kOpaVersionTested = "1.22.2";

}  // namespace notp
