-- How Argo CD judges a MirrorFilter and a MirrorSession: by the conditions, in the order
-- in which kstatus (and so Flux) reads them. It is about the cloud only; whether packets
-- arrive is the condition TrafficObserved of a session, for which a deployment must not
-- wait on a quiet network. Argo CD gives a rule the base library and table, no string.

local function health(status, message)
  return {status = status, message = message}
end

if obj.metadata.deletionTimestamp ~= nil then
  return health("Progressing", "The object is being deleted")
end
if obj.status == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return health("Progressing", "The manager has not looked at the present spec yet")
end

local condition = {}
for _, c in ipairs(obj.status.conditions or {}) do
  condition[c.type] = c
end
local function holds(name)
  return condition[name] ~= nil and condition[name].status == "True"
end
local function said(name)
  local c = condition[name]
  return (c.reason or name) .. ": " .. (c.message or "no message")
end

if obj.spec ~= nil and obj.spec.suspend == true then
  return health("Suspended", "spec.suspend is true: nothing is read or changed in the cloud")
end
if holds("Stalled") then
  return health("Degraded", said("Stalled"))
end
if holds("Reconciling") then
  return health("Progressing", said("Reconciling"))
end
if condition.Ready == nil then
  return health("Progressing", "The manager has not told the condition Ready yet")
end
if not holds("Ready") then
  return health("Progressing", said("Ready"))
end
if condition.TrafficObserved ~= nil then
  return health("Healthy", said("Ready") .. "; traffic: " .. said("TrafficObserved"))
end
return health("Healthy", said("Ready"))
