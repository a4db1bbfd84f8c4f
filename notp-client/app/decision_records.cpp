#include "notp-client/app/decision_records.hpp"

#include <fmt/format.h>

#include "common/clock.hpp"
#include "common/log.hpp"
#include "protocol/transport/announcement_signer.hpp"

namespace notp::client {
namespace {

constexpr std::string_view kWithoutRecords =
    "free or mount a disk that takes writes, which is noticed within seconds, or set "
    "decisions.record to false to give decisions without records";

std::string node_of(const transport::TlsSource& tls) {
  const auto& identity = tls.current()->identity();
  return identity ? identity->text() : std::string();
}

decision::RecorderOptions recorder_options(const ClientConfig& config,
                                           const DecisionRecordsParts& parts,
                                           std::string_view engine) {
  return {.durability = config.decisions.durability,
          .has_nd_cache = config.decisions.nd_builtin_cache,
          .labels = {config.decisions.labels.begin(), config.decisions.labels.end()},
          .engine = std::string(engine),
          .engine_version = parts.engine_version,
          .tokens = tokens_of(config)};
}

}  // namespace

Result<std::unique_ptr<DecisionRecords>> DecisionRecords::open(const ClientConfig& config,
                                                               DecisionRecordsParts parts) {
  const spool::RecordingConfig& recording = config.decisions;
  if (!recording.records || config.pdp.kind == pdp::PdpKind::kFolder)
    return std::unique_ptr<DecisionRecords>();
  auto spool = spool::DecisionSpool::open_or_wait(
      recording.folder, recording.spool,
      {.trust_domain = config.agent.trust_domain,
       .node = node_of(parts.tls),
       .program = config.agent.user_agent,
       .signer = [&tls = parts.tls] { return transport::announcement_signer(tls.current()); }});
  if (!spool) return std::unexpected(std::move(spool).error().in("decisions cannot be recorded"));
  boost::asio::thread_pool& pool = parts.pool;
  prometheus::Registry& metrics = parts.metrics;
  std::unique_ptr<DecisionRecords> out(
      new DecisionRecords(config, *std::move(spool), std::move(parts)));
  if (config.pdp.kind == pdp::PdpKind::kOpa) {
    NOTP_ASSIGN(out->opa_, OpaRecords::open(config, *out->spool_, pool, metrics));
  }
  return out;
}

// Requests of OPA may still be under way: what they bring is refused, and comes again.
void DecisionRecords::stop() { spool_->close("stopped"); }

DecisionRecords::DecisionRecords(const ClientConfig& config,
                                 std::unique_ptr<spool::DecisionSpool> spool,
                                 DecisionRecordsParts parts)
    : may_refuse_(config.decisions.spool.when_full == spool::WhenFull::kRefuse),
      spool_(std::move(spool)),
      metrics_(parts.metrics) {
  const spool::SpoolStatus status = spool_->status();
  if (status.is_open)
    log::info("decisions_recorded", {{"folder", config.decisions.folder.string()},
                                     {"log", status.log.hex()},
                                     {"run", status.run},
                                     {"records", status.next}});
  else
    log::error("decisions_not_recorded", {{"folder", config.decisions.folder.string()},
                                          {"message", status.trouble},
                                          {"what_to_do", kWithoutRecords}});
  if (status.is_open && !status.trouble.empty())
    log::warn("decisions_trouble", {{"message", status.trouble}});
  // An OPA records its decisions itself.
  if (config.pdp.kind == pdp::PdpKind::kEmbedded)
    recorder_ = std::make_unique<decision::DecisionRecorder>(
        *spool_, recorder_options(config, parts, "embedded"), parts.metrics);
}

void DecisionRecords::refresh_metrics() {
  metrics_.update(spool_->status(), read_clock().wall_ms);
  if (opa_) opa_->refresh_metrics();
}

json::object DecisionRecords::status() const {
  const spool::SpoolStatus status = spool_->status();
  json::object out{{"open", status.is_open},
                   {"log", status.is_open ? status.log.hex() : ""},
                   {"run", status.run},
                   {"records", status.next},
                   {"sealed", status.sealed},
                   {"acknowledged", status.acknowledged},
                   {"spool_bytes", status.spool_bytes},
                   {"full", status.is_full},
                   {"failing", status.is_failing},
                   {"recorded", status.recorded},
                   {"refused", status.refused},
                   {"lost", status.lost},
                   {"trouble", status.trouble}};
  if (!status.is_open)
    out["trouble"] = fmt::format("no log is open: {}; {}", status.trouble, kWithoutRecords);
  if (opa_) out["opa"] = opa_->status();
  return out;
}

std::string DecisionRecords::refusal() const {
  if (!may_refuse_) return {};
  const spool::SpoolStatus status = spool_->status();
  if (!status.is_open) return "decisions cannot be recorded: no log is open: " + status.trouble;
  if (status.is_failing) return "decisions cannot be recorded: the disk takes nothing";
  if (status.is_full) return "decisions cannot be recorded: there is no room for more records";
  return {};
}

}  // namespace notp::client
