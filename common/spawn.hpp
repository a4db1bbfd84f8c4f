// Starts a coroutine without waiting for it.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <exception>
#include <utility>

#include "common/assert.hpp"

namespace notp {

// Asio's `detached` would swallow an exception. Coroutines of this project return Results, so one
// that throws is a bug.
template <typename Executor>
void spawn(const Executor& executor, boost::asio::awaitable<void> body) {
  boost::asio::co_spawn(executor, std::move(body), [](std::exception_ptr thrown) {
    NOTP_ASSERT(!thrown, "an exception left a coroutine");
  });
}

}  // namespace notp
