// One at a time for each key, in the order of asking.
#pragma once

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>

namespace notp {

// A publisher's publishes follow one another, so that it never holds more than one of the threads
// that others' publishes need. Thread-safe; outlives its turns. What waits is bounded by the
// sessions of an identity and kUploadsPerSessionMax.
class Turns {
 public:
  // Ends when it is destroyed.
  class Turn {
   public:
    Turn(Turns& turns, std::string key) : turns_(&turns), key_(std::move(key)) {}
    Turn(Turn&& other) noexcept
        : turns_(std::exchange(other.turns_, nullptr)), key_(std::move(other.key_)) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn() {
      if (turns_ != nullptr) turns_->pass_on(key_);
    }

   private:
    Turns* turns_;
    std::string key_;
  };

  // Resumes on the caller's executor when it is its turn.
  boost::asio::awaitable<Turn> take(std::string key) {
    namespace asio = boost::asio;
    auto start = [this, &key](auto handler) {
      auto home = asio::make_work_guard(asio::get_associated_executor(handler));
      // std::function wants to be copied; a handler cannot be.
      auto held = std::make_shared<decltype(handler)>(std::move(handler));
      std::function<void()> go = [held, home] {
        asio::post(home.get_executor(), [held] { std::move (*held)(); });
      };
      {
        const std::scoped_lock lock(mutex_);
        const auto [place, is_first] = waiting_.try_emplace(key);
        if (!is_first) return place->second.push_back(std::move(go));
      }
      go();
    };
    co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(std::move(start),
                                                                         asio::use_awaitable);
    co_return Turn(*this, std::move(key));
  }

 private:
  void pass_on(const std::string& key) {
    std::function<void()> next;
    {
      const std::scoped_lock lock(mutex_);
      const auto place = waiting_.find(key);
      if (place->second.empty()) {
        waiting_.erase(place);
        return;
      }
      next = std::move(place->second.front());
      place->second.pop_front();
    }
    next();
  }

  std::mutex mutex_;                                                  // guards what follows
  std::map<std::string, std::deque<std::function<void()>>> waiting_;  // a key in it has its turn
};

}  // namespace notp
