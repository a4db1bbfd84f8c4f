#include "notp-client/app/opa_records.hpp"

namespace notp::client {
namespace {

constexpr const char* kEngine = "opa";

}  // namespace

OpaRecords::OpaRecords(const ClientConfig& config)
    : sets_(kEngine, {}), posts_(config.decisions.opa_posts) {}

Result<std::unique_ptr<OpaRecords>> OpaRecords::open(const ClientConfig& config,
                                                     spool::DecisionSpool& spool,
                                                     boost::asio::thread_pool& pool) {
  std::unique_ptr<OpaRecords> out(new OpaRecords(config));
  NOTP_ASSIGN(out->intake_,
              opa_log::Intake::open(
                  {.folder = config.decisions.folder,
                   .log = spool,
                   .log_id = spool.status().log,
                   .read_log = [&spool](record::Position from,
                                        const auto& each) { return spool.read(from, each); },
                   .revisions = out->revisions_}));
  if (out->posts_)
    out->route_.emplace(*out->intake_, pool);
  else
    out->file_.emplace(*out->intake_,
                       opa_log::FileFeedOptions{.file = config.decisions.opa_log_file});
  out->poll_.emplace(*out->intake_, opa_log::SourcePollOptions{.url = config.pdp.opa.url});
  return out;
}

http::Handler OpaRecords::logs_handler() {
  if (!route_) return {};
  return [this](const http::Request& request) { return route_->logs_post(request); };
}

json::object OpaRecords::status() const {
  const opa_log::IntakeStatus status = intake_->status();
  json::object out{{"feed", posts_ ? "service" : "file"}, {"recorded", status.recorded},
                   {"dropped", status.dropped},           {"duplicates", status.duplicates},
                   {"damaged", status.damaged},           {"unknown", status.unknown},
                   {"missing", status.missing},           {"trouble", status.trouble}};
  if (file_ && status.trouble.empty()) out["trouble"] = file_->status().trouble;
  return out;
}

}  // namespace notp::client
