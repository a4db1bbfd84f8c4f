// Whether a request is served at all: the same for every route.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/registry.h>

#include <expected>
#include <optional>

#include "common/atomic_shared.hpp"
#include "common/mutex.hpp"
#include "notp-client/api/access.hpp"
#include "notp-client/api/callers_at_once.hpp"

namespace notp {

// Thread-safe. Every refusal is counted, and logged as RefusalLog says.
class RequestGate {
 public:
  RequestGate(Access access, prometheus::Registry& metrics);

  // For requests that come from now on.
  void set(Access access);

  // The caller, and its place among what it has under way.
  struct Admitted {
    Caller caller;
    CallersAtOnce::Place place;
  };
  using Admission = std::expected<Admitted, http::Response>;

  // The errors of Access::identify(); 429 too_many_requests.
  Admission admit(const http::Request& request);
  // The same, of a caller that may see everything; `what` is for the message: "the status".
  Admission admit_to_all(const http::Request& request, std::string_view what);
  // The refusal of an admitted caller that may not ask data.<path>; nothing for one that may.
  std::optional<http::Response> refuse_path(const http::Request& request, const Caller& caller,
                                            const std::vector<std::string>& path);
  // Whether the caller may see everything. Refuses nothing.
  bool sees_all(const http::Request& request) const;

  http::Response refuse(const http::Request& request, const Refusal& refusal);

 private:
  std::expected<Caller, Refusal> identify(const http::Request& request) const;

  AtomicShared<Access> access_;
  CallersAtOnce at_once_;
  prometheus::Family<prometheus::Counter>& refused_;
  Mutex refusals_mutex_;
  RefusalLog refusals_ NOTP_GUARDED_BY(refusals_mutex_);
};

}  // namespace notp
