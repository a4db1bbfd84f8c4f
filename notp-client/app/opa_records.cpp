#include "notp-client/app/opa_records.hpp"

#include <algorithm>
#include <chrono>

#include "common/assert.hpp"
#include "common/log.hpp"

namespace notp::client {
namespace {

namespace asio = boost::asio;

constexpr const char* kEngine = "opa";
constexpr const char* kNotStarted = "OPA's decisions wait until the spool is open";

}  // namespace

std::shared_ptr<const decision::MaskRules> tokens_of(const ClientConfig& config) {
  std::vector<std::string> pointers;
  if (config.lane) pointers = config.lane->all_tokens();
  if (config.txn_verify)
    for (const std::string& pointer : config.txn_verify->tokens)
      if (std::ranges::find(pointers, pointer) == pointers.end()) pointers.push_back(pointer);
  if (pointers.empty()) return nullptr;
  auto rules = decision::MaskRules::for_tokens(pointers);
  NOTP_ASSERT(rules, "the configuration was checked");
  return std::make_shared<const decision::MaskRules>(*std::move(rules));
}

OpaRecords::OpaRecords(const ClientConfig& config, spool::DecisionSpool& spool,
                       asio::thread_pool& pool, prometheus::Registry& metrics)
    : sets_(kEngine, {}, tokens_of(config)),
      spool_(spool),
      pool_(pool),
      folder_(config.decisions.folder),
      log_file_(config.decisions.opa_log_file),
      opa_url_(config.pdp.opa.url),
      posts_(config.decisions.opa_posts),
      metrics_(metrics) {}

OpaRecords::~OpaRecords() {
  wakeup_.stop();
  if (starter_.joinable()) starter_.join();
  spool_.on_new_log({}, {});
}

Result<std::unique_ptr<OpaRecords>> OpaRecords::open(const ClientConfig& config,
                                                     spool::DecisionSpool& spool,
                                                     asio::thread_pool& pool,
                                                     prometheus::Registry& metrics) {
  std::unique_ptr<OpaRecords> out(new OpaRecords(config, spool, pool, metrics));
  if (auto started = out->start(); !started) {
    const ErrorCode code = started.error().code;
    if (code != ErrorCode::kIo && code != ErrorCode::kUnavailable)
      return std::unexpected(std::move(started).error());
    out->starter_ = std::thread([records = out.get()] { records->start_later(); });
  }
  return out;
}

Result<void> OpaRecords::start() {
  const spool::SpoolStatus status = spool_.status();
  if (!status.is_open) return fail(ErrorCode::kUnavailable, kNotStarted);
  auto feeds = std::make_unique<Feeds>();
  NOTP_ASSIGN(feeds->intake,
              opa_log::Intake::open(
                  {.folder = folder_,
                   .log = spool_,
                   .log_id = status.log,
                   .read_log = [this](record::Position from,
                                      const auto& each) { return spool_.read(from, each); },
                   .revisions = revisions_}));
  opa_log::Intake& intake = *feeds->intake;
  spool_.on_new_log([&intake] { intake.pause(); },
                    [&intake](const record::LogId& log) { intake.resume(log); });
  if (posts_)
    feeds->route.emplace(intake, pool_);
  else
    feeds->file.emplace(intake, opa_log::FileFeedOptions{.file = log_file_});
  feeds->poll.emplace(intake, opa_log::SourcePollOptions{.url = opa_url_});
  owned_ = std::move(feeds);
  feeds_ = owned_.get();
  return {};
}

void OpaRecords::start_later() {
  std::string trouble;
  const std::chrono::milliseconds interval(kFeedsRetryMs);
  while (wakeup_.wait_until(std::chrono::steady_clock::now() + interval)) {
    const auto started = start();
    if (started) return log::info("opa_decisions_recorded", {{"folder", folder_.string()}});
    if (std::exchange(trouble, started.error().message) != trouble)
      log::write(log::Level::kError, "opa_decisions_not_recorded", started.error());
  }
}

http::Handler OpaRecords::logs_handler() {
  if (!posts_) return {};
  return [this](const http::Request& request) { return logs_post(request); };
}

asio::awaitable<http::Response> OpaRecords::logs_post(const http::Request& request) {
  Feeds* const feeds = feeds_;
  if (feeds == nullptr) co_return http::error_response(503, "audit_unavailable", kNotStarted);
  co_return co_await feeds->route->logs_post(request);
}

void OpaRecords::refresh_metrics() {
  if (const Feeds* const feeds = feeds_) metrics_.update(feeds->intake->status());
}

json::object OpaRecords::status() const {
  const Feeds* const feeds = feeds_;
  const opa_log::IntakeStatus status =
      feeds ? feeds->intake->status() : opa_log::IntakeStatus{.trouble = kNotStarted};
  json::object out{{"feed", posts_ ? "service" : "file"}, {"recorded", status.recorded},
                   {"dropped", status.dropped},           {"duplicates", status.duplicates},
                   {"damaged", status.damaged},           {"unknown", status.unknown},
                   {"missing", status.missing},           {"trouble", status.trouble}};
  if (feeds && feeds->file && status.trouble.empty())
    out["trouble"] = feeds->file->status().trouble;
  return out;
}

}  // namespace notp::client
