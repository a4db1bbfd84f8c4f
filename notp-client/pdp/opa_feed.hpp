// The state of OPA's bundle and status services, without I/O.
//
// It relies on these facts about OPA, each pinned by a test against the real program:
// - It asks again at once after a 200 or a 304, with If-None-Match naming what it *activated*. So a
//   request that does not name the bundle served last reports a refusal.
// - Its status names the active revision, and the errors of the last attempt, but not the bundle
//   that was attempted. So the served bundles are kept in order.
// - Status is posted after each attempt, never again when that is lost.
#pragma once

#include <deque>
#include <map>
#include <set>

#include "notp-client/pdp/bundle.hpp"
#include "notp-client/pdp/opa_config.hpp"

namespace notp::pdp {

// One thread. No clock: the caller holds requests open.
class OpaFeed {
 public:
  // Sets the bundle to decide with from now on. A known outcome is returned at once: a bundle that
  // OPA has refused is not offered again, and one that it decides with needs no further status.
  std::optional<PdpOutcome> offer(OpaBundlePtr bundle);

  struct Answer {
    OpaBundlePtr bundle;    // set: 200 with it
    std::string held_etag;  // otherwise: 304 with this one
    bool at_once = false;   // 304 now, so that OPA posts its status; else after a change or the
                            // timeout
  };
  // Answers a bundle request by the OPA `instance`. Call it again after every change until there is
  // a bundle.
  Answer on_request(const std::string& instance, std::string_view if_none_match);

  // A status document of OPA: the body it posts, or "result" of its GET /v1/status.
  std::vector<PdpOutcome> on_status(const std::string& instance, const json::value& status);
  // Returns the instance of a status without our header.
  std::string instance_by_label(const json::value& status) const;

 private:
  struct Instance {
    std::string label;                // OPA's labels.id: another value is another process
    std::deque<OpaBundlePtr> served;  // without an outcome yet, oldest first
    OpaBundlePtr holds;               // by its latest request or status
    std::string active_etag;          // by its status
    std::string nudged_etag;          // the etag for which a 304 was sent at once
    std::string judged_request;       // last_request of the last error that was understood
  };

  OpaBundlePtr to_serve() const;
  // Drops what was served up to the last answer with this etag; returns its bundle, or null when
  // none had it.
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

}  // namespace notp::pdp
