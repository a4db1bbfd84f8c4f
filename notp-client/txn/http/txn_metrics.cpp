#include "notp-client/txn/http/txn_metrics.hpp"

#include <array>
#include <string>

namespace notp::txn {
namespace {

constexpr std::array<SubjectType, 6> kSubjectTypes = {
    SubjectType::kAccessToken, SubjectType::kIdToken,      SubjectType::kJwt,
    SubjectType::kSelfSigned,  SubjectType::kUnsignedJson, SubjectType::kTxnToken};
constexpr std::array<std::string_view, 5> kGrantEvents = {"made", "used", "repeated", "passed_on",
                                                          "revoked"};

prometheus::Family<prometheus::Counter>& counters(prometheus::Registry& registry, const char* name,
                                                  const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

prometheus::Gauge& gauge(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
}

}  // namespace

TxnMetrics::TxnMetrics(prometheus::Registry& registry)
    : refused_(counters(registry, "notp_txn_refused_total",
                        "Requests for transaction tokens that were refused, by reason.")),
      grant_events_(counters(registry, "notp_txn_grant_events_total",
                             "What became of grants: made, used, repeated, passed_on, revoked.")),
      seconds_(
          prometheus::BuildHistogram()
              .Name("notp_txn_request_seconds")
              .Help("From a request for a transaction token to its answer.")
              .Register(registry)
              .Add({}, prometheus::Histogram::BucketBoundaries{0.0005, 0.001, 0.0025, 0.005, 0.01,
                                                               0.025, 0.05, 0.1, 0.5, 1})),
      grants_(gauge(registry, "notp_txn_grants", "Grants that are held, with those just ended.")),
      can_issue_(gauge(registry, "notp_txn_can_issue",
                       "1: a model decides and a key signs; 0: requests are answered 503.")) {
  // A rate sees no first increase of a series that did not exist.
  auto& issued = counters(registry, "notp_txn_issued_total",
                          "Transaction tokens that were issued, by the type of subject token.");
  for (const SubjectType type : kSubjectTypes)
    issued_.at(static_cast<size_t>(type)) =
        &issued.Add({{"subject", std::string(subject_type_name(type))}});
  for (const std::string_view event : kGrantEvents)
    grant_events_.Add({{"event", std::string(event)}});
#define NOTP_TXN_ADD_SERIES(name, text, status, code) refused_.Add({{"reason", text}});
  NOTP_TXN_REFUSAL_TABLE(NOTP_TXN_ADD_SERIES)
#undef NOTP_TXN_ADD_SERIES
}

void TxnMetrics::issued(SubjectType type) { issued_.at(static_cast<size_t>(type))->Increment(); }

void TxnMetrics::refused(Refusal refusal) {
  refused_.Add({{"reason", std::string(refusal_traits(refusal).name)}}).Increment();
}

void TxnMetrics::grant(GrantEvent event, size_t count) {
  if (count > 0)
    grant_events_.Add({{"event", std::string(kGrantEvents[static_cast<size_t>(event)])}})
        .Increment(static_cast<double>(count));
}

}  // namespace notp::txn
