// Questions to a PDP that block until answered.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>

#include "notp-client/decision/decision_service.hpp"

namespace notp {

// The whole decision of one question, asked as on every route.
inline Result<pdp::Decision> decide(pdp::Pdp& pdp, std::string_view path, std::string_view input) {
  static boost::asio::thread_pool callers(2);
  pdp::Question question{.path = pdp::path_segments(path)};
  question.inputs.push_back(input.empty() ? std::nullopt : std::optional<Bytes>(Bytes(input)));
  prometheus::Registry metrics;
  decision::DecisionService service(pdp, metrics);
  return boost::asio::co_spawn(callers,
                               service.decide({decision::DecisionApi::kData, std::move(question)}),
                               boost::asio::use_future)
      .get()
      .only();
}

// The value only. An empty `input` means no input.
inline Result<std::optional<Bytes>> ask(pdp::Pdp& pdp, std::string_view path,
                                        std::string_view input) {
  auto decision = decide(pdp, path, input);
  if (!decision) return std::unexpected(std::move(decision).error());
  return std::move(decision->value);
}

}  // namespace notp
