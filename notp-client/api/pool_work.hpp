// Runs work of a request that may take long.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>

namespace notp::api {

// Returns the result of `work`, called here if the work is little, else on the pool. The caller
// resumes on its own executor.
template <typename T>
boost::asio::awaitable<T> work_on(boost::asio::thread_pool& pool, bool is_little,
                                  std::function<T()> work) {
  if (is_little) co_return work();
  const auto on_pool = [](std::function<T()> body) -> boost::asio::awaitable<T> {
    co_return body();
  };
  co_return co_await boost::asio::co_spawn(pool, on_pool(std::move(work)),
                                           boost::asio::use_awaitable);
}

}  // namespace notp::api
