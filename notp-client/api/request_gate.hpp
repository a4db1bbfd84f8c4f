// Decides whether a request is served; all routes share it.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/registry.h>

#include <expected>
#include <optional>

#include "common/atomic_shared.hpp"
#include "common/mutex.hpp"
#include "notp-client/api/access.hpp"
#include "notp-client/api/callers_at_once.hpp"

namespace notp::api {

// Thread-safe. Every refusal is counted, and logged according to RefusalLog.
class RequestGate {
 public:
  RequestGate(Access access, prometheus::Registry& metrics);

  // Applies to new requests.
  void set(Access access);

  // The caller, and its place among its concurrent requests.
  struct Admitted {
    Caller caller;
    CallersAtOnce::Place place;
  };
  using Admission = std::expected<Admitted, http::Response>;

  // The errors of Access::identify(); 429 too_many_requests.
  Admission admit(const http::Request& request);
  // As admit(), for a caller that may see everything; `what` is for the message: "the status".
  Admission admit_to_all(const http::Request& request, std::string_view what);
  // The refusal if an admitted caller may not query data.<path>; nullopt if it may.
  std::optional<http::Response> refuse_path(const http::Request& request, const Caller& caller,
                                            const std::vector<std::string>& path);
  // Whether the caller may see everything. Does not refuse the request.
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

}  // namespace notp::api
