// Waits until a record is on disk.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "notp-client/spool/decision_log.hpp"

namespace notp::decision {

// Of a wait that Asio's cancellation has ended: kCancelled.
Error not_awaited();

// Returns on the caller's executor. Errors of DecisionLog::when_durable(), and not_awaited(). `log`
// is used only up to the first suspension.
boost::asio::awaitable<Result<void>> when_durable(spool::DecisionLog& log,
                                                  record::Position position);

}  // namespace notp::decision
