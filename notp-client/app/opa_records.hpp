// The decisions of an OPA beside the agent, on their way into the spool.
#pragma once

#include <boost/asio/thread_pool.hpp>
#include <memory>
#include <optional>

#include "common/http/router.hpp"
#include "common/json/json.hpp"
#include "notp-client/app/app_config.hpp"
#include "notp-client/opa_log/file_feed.hpp"
#include "notp-client/opa_log/intake.hpp"
#include "notp-client/opa_log/logs_route.hpp"
#include "notp-client/opa_log/revisions.hpp"
#include "notp-client/opa_log/source_poll.hpp"
#include "notp-client/spool/spool.hpp"

namespace notp::client {

// Thread-safe. Spool and pool outlive it.
class OpaRecords {
 public:
  // Errors of the spool and of the file of known ids.
  static Result<std::unique_ptr<OpaRecords>> open(const ClientConfig& config,
                                                  spool::DecisionSpool& spool,
                                                  boost::asio::thread_pool& pool);

  // A set is offered to OPA: its decisions will name it.
  void offered(const pdp::ActiveSetPtr& set) { revisions_.remember(set); }
  // POST /logs; empty: OPA writes a file.
  http::Handler logs_handler();
  // For the status document.
  json::object status() const;

 private:
  explicit OpaRecords(const ClientConfig& config);

  decision::RecordedSets sets_;
  opa_log::Revisions revisions_{sets_};
  const bool posts_;
  std::unique_ptr<opa_log::Intake> intake_;
  // These end before the intake.
  std::optional<opa_log::OpaLogRoute> route_;
  std::optional<opa_log::FileFeed> file_;
  std::optional<opa_log::SourcePoll> poll_;
};

}  // namespace notp::client
