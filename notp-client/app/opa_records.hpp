// The decisions of an OPA beside the agent, on their way into the spool.
#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "common/http/router.hpp"
#include "common/json/json.hpp"
#include "notp-client/app/app_config.hpp"
#include "notp-client/opa_log/file_feed.hpp"
#include "notp-client/opa_log/intake.hpp"
#include "notp-client/opa_log/logs_route.hpp"
#include "notp-client/opa_log/opa_log_metrics.hpp"
#include "notp-client/opa_log/revisions.hpp"
#include "notp-client/opa_log/source_poll.hpp"
#include "notp-client/spool/spool.hpp"
#include "notp-client/spool/wakeup.hpp"

namespace notp::client {

// How long the feeds wait before they look again whether the spool is open.
inline constexpr int64_t kFeedsRetryMs = 1'000;

// The places of tokens in inputs, by the configuration of the lane; null: none.
std::shared_ptr<const decision::MaskRules> tokens_of(const ClientConfig& config);

// Thread-safe. Spool, pool and metrics outlive it. While the spool is not open, POST /logs answers
// 503, so that OPA keeps what it sends, and its file is not read: both begin later, and lose
// nothing.
class OpaRecords {
 public:
  // Errors of the spool and of the file of known ids, but for kIo, and for a spool that is not open
  // yet: then the feeds begin later.
  static Result<std::unique_ptr<OpaRecords>> open(const ClientConfig& config,
                                                  spool::DecisionSpool& spool,
                                                  boost::asio::thread_pool& pool,
                                                  prometheus::Registry& metrics);

  ~OpaRecords();

  // A set is offered to OPA: its decisions will name it.
  void offered(const pdp::ActiveSetPtr& set) { revisions_.remember(set); }
  // POST /logs; empty: OPA writes a file.
  http::Handler logs_handler();
  void refresh_metrics();
  // For the status document.
  json::object status() const;

 private:
  // What needs an open spool.
  struct Feeds {
    std::unique_ptr<opa_log::Intake> intake;
    // These end before the intake.
    std::optional<opa_log::OpaLogRoute> route;
    std::optional<opa_log::FileFeed> file;
    std::optional<opa_log::SourcePoll> poll;
  };

  OpaRecords(const ClientConfig& config, spool::DecisionSpool& spool,
             boost::asio::thread_pool& pool, prometheus::Registry& metrics);
  // kUnavailable: the spool is not open.
  Result<void> start();
  void start_later();
  boost::asio::awaitable<http::Response> logs_post(const http::Request& request);

  decision::RecordedSets sets_;
  opa_log::Revisions revisions_{sets_};
  spool::DecisionSpool& spool_;
  boost::asio::thread_pool& pool_;
  const std::filesystem::path folder_, log_file_;
  const std::string opa_url_;
  const bool posts_;
  opa_log::OpaLogMetrics metrics_;
  std::unique_ptr<Feeds> owned_;
  std::atomic<Feeds*> feeds_ = nullptr;  // owned_, once it has begun
  spool::Wakeup wakeup_;
  std::thread starter_;  // until the feeds have begun
};

}  // namespace notp::client
