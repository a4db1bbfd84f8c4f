// The real engine for tests: the worker that the build made, and questions that wait for an answer.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>
#include <cstdlib>

#include "common/rego/host/process_checker.hpp"
#include "notp-client/pdp/pdp.hpp"

namespace notp {

inline std::string test_worker() {
  const char* folder = std::getenv("NOTP_BIN");
  return std::string(folder ? folder : ".") + "/notp-pdp";
}

// One for all tests of a program: what one has found good another need not look at again.
inline rego::ModelChecker& test_checker() {
  static rego::ProcessChecker checker(rego::CheckerOptions{.worker = test_worker()});
  return checker;
}

// The whole decision of one question.
inline Result<Decision> decide(Pdp& pdp, std::string_view path, std::string_view input) {
  static boost::asio::thread_pool askers(2);
  Question question{.path = path_segments(path)};
  question.inputs.push_back(input.empty() ? std::nullopt : std::optional<Bytes>(Bytes(input)));
  auto decisions =
      boost::asio::co_spawn(askers, pdp.evaluate(std::move(question)), boost::asio::use_future)
          .get();
  if (!decisions) return std::unexpected(std::move(decisions).error());
  return std::move(decisions->front());
}

// Its value alone. An empty `input` is none.
inline Result<std::optional<Bytes>> ask(Pdp& pdp, std::string_view path, std::string_view input) {
  auto decision = decide(pdp, path, input);
  if (!decision) return std::unexpected(std::move(decision).error());
  return std::move(decision->value);
}

}  // namespace notp
