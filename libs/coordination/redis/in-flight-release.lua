-- Ends the lease of an attempt, and of no other. KEYS[1]: the lease; ARGV[1]: what the attempt wrote there. Answers whether it was there.
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
