# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""What is run on Windows through ansible.windows.win_powershell, all of it: eleven constant texts. Data travels as parameters, and no secret does.

Six are about Tentacles, five about the keys of an Octopus Server. Each ends by looking around, so that an act and the sight of what it did
are one round trip. A text that acts lacks SupportsShouldProcess, so that win_powershell itself skips it in check mode. Windows PowerShell 5.1
and later.
"""

from __future__ import annotations

# Parameters that all texts share: what is to be seen afterwards, beyond what the look finds by itself.
_WATCHED = """    [string] $Index,
    [string[]] $Files = @(),
    [string[]] $Folders = @(),
    [string[]] $Services = @(),
    [string[]] $LogFolders = @(),
    [bool] $Logs = $false
)
"""

_LOOKING = r"""
function Get-Microseconds([datetime] $Time) {
    $ticks = $Time.ToUniversalTime().ToFileTimeUtc()
    ($ticks - $ticks % 10) / 10
}

function Read-Shared([string] $Path) {
    $sharing = [IO.FileShare]::ReadWrite -bor [IO.FileShare]::Delete
    $stream = New-Object -TypeName IO.FileStream -ArgumentList $Path, ([IO.FileMode]::Open), ([IO.FileAccess]::Read), $sharing
    try {
        $memory = New-Object -TypeName IO.MemoryStream
        $stream.CopyTo($memory)
        , $memory.ToArray()
    }
    finally {
        $stream.Dispose()
    }
}

function Get-Sha256([byte[]] $Data) {
    $algorithm = [Security.Cryptography.SHA256]::Create()
    try {
        [BitConverter]::ToString($algorithm.ComputeHash($Data)).Replace('-', '').ToLowerInvariant()
    }
    finally {
        $algorithm.Dispose()
    }
}

function Get-File([string] $Path, [bool] $Content) {
    $fact = @{ path = $Path; exists = $false; data = $null; error = ''; link = ''; size = 0; changed = 0 }
    $item = Get-Item -LiteralPath $Path -Force -ErrorAction SilentlyContinue
    if ($null -eq $item -or $item -isnot [IO.FileInfo]) {
        return $fact
    }
    for ($hops = 0; $hops -lt 8 -and $item.LinkType -eq 'SymbolicLink'; $hops++) {
        $fact.link = [IO.Path]::GetFullPath([IO.Path]::Combine($item.DirectoryName, @($item.Target)[0]))
        $item = Get-Item -LiteralPath $fact.link -Force -ErrorAction SilentlyContinue
        if ($null -eq $item) {
            return $fact
        }
    }
    $fact.exists = $true
    $fact.size = $item.Length
    $fact.changed = Get-Microseconds $item.LastWriteTimeUtc
    if ($Content) {
        try {
            $fact.data = [Convert]::ToBase64String((Read-Shared $item.FullName))
        }
        catch {
            $fact.error = $_.Exception.Message
        }
    }
    $fact
}

function Get-Names([string] $Folder) {
    $names = @()
    if ([IO.Directory]::Exists($Folder)) {
        $names = @([IO.Directory]::GetFileSystemEntries($Folder) | ForEach-Object -Process { [IO.Path]::GetFileName($_) })
    }
    @{ path = $Folder; names = $names }
}

function Get-Text([object] $Fact) {
    if ($Fact.data) { [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($Fact.data)).TrimStart([char] 0xFEFF) } else { '' }
}

function Get-Start([object] $Process) {
    if ($Process.CreationDate) { Get-Microseconds $Process.CreationDate } else { 0 }
}

function Get-VendorProcesses {
    $vendors = "Name = 'Tentacle.exe' OR (Name = 'dotnet.exe' AND CommandLine LIKE '%Tentacle.dll%')"
    @(Get-CimInstance -ClassName Win32_Process -Filter $vendors -Property @('ProcessId', 'CreationDate', 'CommandLine'))
}

function Get-Processes {
    $commands = @{}
    foreach ($process in Get-VendorProcesses) {
        # What may not be looked into could be any command.
        $commands[[int] $process.ProcessId] = if ($process.CommandLine) { $process.CommandLine } else { 'Tentacle.exe ?' }
    }
    foreach ($process in Get-CimInstance -ClassName Win32_Process -Property @('ProcessId', 'ParentProcessId', 'CreationDate')) {
        $number = [int] $process.ProcessId
        ('{0} {1} {2} {3}' -f $number, $process.ParentProcessId, (Get-Start $process), $commands[$number]).TrimEnd()
    }
}

function Get-Services([string[]] $Named) {
    $variable = 'TentacleMachineConfigurationHomeDirectory'
    $everywhere = [Environment]::GetEnvironmentVariable($variable, 'Machine')
    $found = Get-CimInstance -ClassName Win32_Service -Property @('Name', 'State', 'ProcessId', 'PathName', 'StartName')
    foreach ($one in $found | Where-Object -FilterScript { $_.Name -like 'OctopusDeploy Tentacle*' -or $Named -contains $_.Name }) {
        $key = 'HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\' + $one.Name
        $own = @([Microsoft.Win32.Registry]::GetValue($key, 'Environment', $null)) | Where-Object -FilterScript { $_ -like "$variable=*" }
        @{
            name = $one.Name
            state = [string] $one.State
            pid = [int] $one.ProcessId
            command = [string] $one.PathName
            account = [string] $one.StartName
            home = if ($own) { @($own)[0].Substring($variable.Length + 1) } else { [string] $everywhere }
        }
    }
}

function Get-Registered {
    $view = [Microsoft.Win32.RegistryKey]::OpenBaseKey([Microsoft.Win32.RegistryHive]::LocalMachine, [Microsoft.Win32.RegistryView]::Registry64)
    $key = $view.OpenSubKey('Software\Octopus\Tentacle')
    $found = @{ location = ''; instances = @() }
    if ($null -ne $key) {
        $found.location = [string] $key.GetValue('InstallLocation')
        $found.instances = @(foreach ($name in $key.GetSubKeyNames()) {
                $path = $key.OpenSubKey($name).GetValue('ConfigurationFilePath')
                if ($path) { @{ name = $name; path = [string] $path } }
            })
    }
    $found
}

function Get-LogLines([string] $Path, [int[]] $Wanted, [int[]] $Starting) {
    # Of each process asked about: its start-up after its last header, and what it says of thumbprints later, the newest of either kind.
    $lead = New-Object -TypeName Text.RegularExpressions.Regex -ArgumentList '^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ +(\d+) +\d+ +[A-Z]+  '
    $first = @{}
    $later = @{}
    $begun = $false
    $number = 0
    $sharing = [IO.FileShare]::ReadWrite -bor [IO.FileShare]::Delete
    $stream = New-Object -TypeName IO.FileStream -ArgumentList $Path, ([IO.FileMode]::Open), ([IO.FileAccess]::Read), $sharing
    $reader = New-Object -TypeName IO.StreamReader -ArgumentList $stream, ([Text.Encoding]::UTF8)
    try {
        while ($null -ne ($line = $reader.ReadLine())) {
            $match = $lead.Match($line)
            if (-not $match.Success) { continue }
            $owner = [int] $match.Groups[1].Value
            if ($Wanted -notcontains $owner) { continue }
            $number++
            $header = $line.EndsWith('==== RunAgentCommand ====', [StringComparison]::Ordinal)
            if ($header -or -not $first.ContainsKey($owner)) {
                $first[$owner] = New-Object -TypeName Collections.Generic.List[string]
                foreach ($kind in 'met', 'else') { $later["$owner $kind"] = New-Object -TypeName Collections.Queue }
            }
            if ($header -and $Starting -contains $owner) { $begun = $true }
            if ($first[$owner].Count -lt 300) {
                $first[$owner].Add($line)
            }
            elseif ($line.IndexOf('thumbprint', [StringComparison]::OrdinalIgnoreCase) -ge 0) {
                $kind = if ($line.IndexOf('identified by thumbprint', [StringComparison]::Ordinal) -ge 0) { 'met' } else { 'else' }
                $later["$owner $kind"].Enqueue(@{ number = $number; line = $line })
                if ($later["$owner $kind"].Count -gt 200) { [void] $later["$owner $kind"].Dequeue() }
            }
        }
    }
    finally {
        $reader.Dispose()
    }
    $after = @($later.Values | ForEach-Object -Process { $_.ToArray() } | Sort-Object -Property { $_.number } | ForEach-Object -Process { $_.line })
    $lines = @(foreach ($owner in $first.Keys) { $first[$owner] }) + $after
    @{ begun = $begun; text = ($lines | ForEach-Object -Process { $_ + "`n" }) -join '' }
}

function Get-Logs([string] $Folder, [int[]] $Wanted, [int[]] $Starting) {
    $found = @(foreach ($name in @('OctopusTentacle.txt') + (0..6 | ForEach-Object -Process { "OctopusTentacle.$_.txt" })) {
            $path = [IO.Path]::Combine($Folder, $name)
            if (-not [IO.File]::Exists($path)) { continue }
            $lines = Get-LogLines $path $Wanted $Starting
            @{ name = $name; text = $lines.text }
            if ($lines.begun) { break }
        })
    @{ folder = $Folder; files = $found }
}

function Get-Sight {
    $identity = [Security.Principal.WindowsIdentity]::GetCurrent()
    $elevated = ([Security.Principal.WindowsPrincipal] $identity).IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)
    $cryptography = 'HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Cryptography'
    $managed = @(Get-Services $Services)
    $running = @(Get-Processes)
    $registered = Get-Registered
    $seen = @{}
    $listed = @{}
    $places = @{}
    foreach ($folder in $LogFolders) { $places[$folder] = $true }
    $configurations = @($registered.instances | ForEach-Object -Process { $_.path })
    if ($Index) {
        $listed[$Index] = Get-Names $Index
        foreach ($name in $listed[$Index].names) {
            $entry = Get-File ([IO.Path]::Combine($Index, $name)) $true
            $seen[$entry.path] = $entry
            # Only to look ahead: what the entry means is decided elsewhere, and what is not found here is asked for again.
            try { $configurations += [string] (ConvertFrom-Json -InputObject (Get-Text $entry)).ConfigurationFilePath } catch { continue }
        }
    }
    foreach ($path in $configurations | Where-Object -FilterScript { $_ }) {
        $seen[$path] = Get-File $path $true
        $real = if ($seen[$path].link) { $seen[$path].link } else { $path }
        try { $folder = [IO.Path]::GetDirectoryName($real) } catch { continue }
        if ($real -ne $path) { $seen[$real] = Get-File $real $true }
        $listed[$folder] = Get-Names $folder
        $setting = '<set\s+key="Octopus\.Home"\s*>([^<]*)</set>'
        $own = if ((Get-Text $seen[$path]) -match $setting) { [Net.WebUtility]::HtmlDecode($Matches[1]).Trim() } else { '' }
        $places[[IO.Path]::Combine($folder, $own, 'Logs')] = $true
    }
    foreach ($service in $managed) {
        if ($service.command -match '^(?:"([^"]+)"|(\S+))') {
            $program = if ($Matches[1]) { $Matches[1] } else { $Matches[2] }
            $seen[$program] = Get-File $program $false
        }
    }
    foreach ($path in $Files) { $seen[$path] = Get-File $path $true }
    foreach ($folder in $Folders) { $listed[$folder] = Get-Names $folder }
    $starting = @($managed | ForEach-Object -Process { $_.pid } | Where-Object -FilterScript { $_ })
    $wanted = @($running | Where-Object -FilterScript { $_.Split(' ').Count -gt 3 } | ForEach-Object -Process { [int] $_.Split(' ')[0] }) + $starting
    @{
        elevated = $elevated
        machine = [Environment]::MachineName + ' ' + [Microsoft.Win32.Registry]::GetValue($cryptography, 'MachineGuid', '')
        now = Get-Microseconds ([datetime]::UtcNow)
        location = $registered.location
        registered = $registered.instances
        services = $managed
        processes = $running
        listeners = @(Get-NetTCPConnection -State Listen -ErrorAction SilentlyContinue | ForEach-Object -Process {
                '{0} {1} {2}' -f $_.LocalPort, $_.OwningProcess, $_.LocalAddress
            })
        files = @($seen.Values)
        folders = @($listed.Values)
        logs = @(if ($Logs) { foreach ($folder in $places.Keys) { Get-Logs $folder $wanted $starting } })
    }
}
"""

_WRITING = r"""
function Write-Private([string] $Path, [byte[]] $Data) {
    # Nobody else can open it before the rights are set, and it holds nothing until then.
    $stream = New-Object -TypeName IO.FileStream -ArgumentList $Path, ([IO.FileMode]::CreateNew), ([IO.FileAccess]::Write), ([IO.FileShare]::None)
    try {
        $rights = New-Object -TypeName Security.AccessControl.FileSecurity
        $rights.SetAccessRuleProtection($true, $false)
        $current = [Security.Principal.WindowsIdentity]::GetCurrent().User.Value
        foreach ($sid in @('S-1-5-18', 'S-1-5-32-544', $current) | Select-Object -Unique) {
            $who = New-Object -TypeName Security.Principal.SecurityIdentifier -ArgumentList $sid
            $rule = New-Object -TypeName Security.AccessControl.FileSystemAccessRule -ArgumentList $who, 'FullControl', 'Allow'
            $rights.AddAccessRule($rule)
        }
        # Not Set-Acl, which would set more than the access, and needs a privilege for that.
        if ($PSVersionTable.PSVersion.Major -lt 6) {
            [IO.File]::SetAccessControl($Path, $rights)
        }
        else {
            [IO.FileSystemAclExtensions]::SetAccessControl((Get-Item -LiteralPath $Path), $rights)
        }
        $stream.Write($Data, 0, $Data.Length)
        $stream.Flush($true)
    }
    finally {
        $stream.Dispose()
    }
}
"""

_END = """
$Ansible.Changed = $false
$Ansible.Result = @{ answer = $answer; sight = Get-Sight }
"""


def _script(parameters: str, functions: str, body: str, checked: bool = False) -> str:
    binding = "SupportsShouldProcess = $true" if checked else ""
    return f"[CmdletBinding({binding})]\nparam (\n{parameters}{_WATCHED}{functions}{_LOOKING}{body}{_END}"


LOOK = _script("", "", "\n$answer = ''\n", checked=True)

# Handshake, a request for the page that everybody gets, read to the end: who leaves earlier leaves an ERROR in the log there (H-38).
# Schannel's own close_notify was not measured, and is not to be had before .NET Framework 4.7.
SERVED = _script(
    """    [string] $Address,
    [int] $Port,
    [double] $Seconds,
""",
    "",
    r"""
$answer = @{ certificate = ''; said = '' }
$deadline = [datetime]::UtcNow.AddSeconds($Seconds)
do {
    $client = $null
    try {
        $client = New-Object -TypeName Net.Sockets.TcpClient -ArgumentList $Address, $Port
        $client.ReceiveTimeout = 5000
        $client.SendTimeout = 5000
        $anybody = [Net.Security.RemoteCertificateValidationCallback] { $true }
        $tls = New-Object -TypeName Net.Security.SslStream -ArgumentList ($client.GetStream()), $false, $anybody
        $tls.AuthenticateAsClient($Address, $null, [Security.Authentication.SslProtocols]::Tls12, $false)
        $answer.certificate = [Convert]::ToBase64String($tls.RemoteCertificate.GetRawCertData())
        try {
            $request = [Text.Encoding]::ASCII.GetBytes("GET / HTTP/1.1`r`n`r`n")
            $tls.Write($request, 0, $request.Length)
            $tls.Flush()
            $buffer = New-Object -TypeName byte[] -ArgumentList 16384
            while ($tls.Read($buffer, 0, $buffer.Length) -gt 0) { continue }
        }
        catch {
            # The certificate is known; how the other side leaves tells nothing.
            $answer.said = $_.Exception.Message
        }
    }
    catch {
        $answer.said = $_.Exception.Message
    }
    finally {
        if ($null -ne $client) { $client.Dispose() }
    }
    if (-not $answer.certificate) {
        Start-Sleep -Milliseconds 100
    }
} until ($answer.certificate -or [datetime]::UtcNow -ge $deadline)
""",
    checked=True,
)

# The service control manager says "stopped" a little before the process is gone, and a new one could not listen until it is (H-12).
ORDER = _script(
    """    [string] $Verb,
    [string] $Name,
    [int] $Seconds,
""",
    "",
    r"""
$answer = ''
$patience = [timespan]::FromSeconds($Seconds)
try {
    $service = Get-Service -ErrorAction SilentlyContinue | Where-Object -FilterScript { $_.Name -eq $Name }
    if ($null -eq $service) { throw "there is no service $Name" }
    if ($Verb -in @('stop', 'restart') -and $service.Status -ne 'Stopped') {
        $number = [int] (Get-Services @($Name) | Where-Object -FilterScript { $_.name -eq $Name }).pid
        $old = if ($number) { Get-Process -Id $number -ErrorAction SilentlyContinue } else { $null }
        if ($service.Status -ne 'StopPending') { $service.Stop() }
        $service.WaitForStatus('Stopped', $patience)
        # Whatever becomes of the waiting, the service is started again.
        if ($null -ne $old) { try { [void] $old.WaitForExit([int] $patience.TotalMilliseconds) } catch { $answer = $_.Exception.Message } }
    }
    if ($Verb -in @('start', 'restart')) {
        $service.Refresh()
        if ($service.Status -notin @('Running', 'StartPending')) { $service.Start() }
        $service.WaitForStatus('Running', $patience)
    }
}
catch {
    $reason = $_.Exception
    while ($reason.InnerException) { $reason = $reason.InnerException }
    $answer = $reason.Message
}
""",
)

# Compare and replace in one go, since no lock lasts from one round trip to the next. The file is held open meanwhile so that nobody writes it
# (readers and the replacement itself are let in), and the vendor's processes must be those that were judged harmless before.
REPLACE = _script(
    """    [string] $Path,
    [string] $Sha256,
    [int] $Start,
    [int] $End,
    [string] $Insert,
    [string] $Source = '',
    [string] $Suffix,
    [string[]] $Known = @(),
""",
    _WRITING,
    r"""
$answer = ''
$new = "$Path$Suffix.new.tmp"
$old = "$Path$Suffix.old.tmp"
$held = $null
try {
    $strangers = @(Get-VendorProcesses | Where-Object -FilterScript { $Known -notcontains ('{0} {1}' -f $_.ProcessId, (Get-Start $_)) })
    if ($strangers.Count) { $answer = 'busy' }
    $sharing = [IO.FileShare]::Read -bor [IO.FileShare]::Delete
    try {
        if (-not $answer) { $held = New-Object -TypeName IO.FileStream -ArgumentList $Path, ([IO.FileMode]::Open), ([IO.FileAccess]::Read), $sharing }
    }
    catch {
        $reason = $_.Exception
        while ($reason.InnerException) { $reason = $reason.InnerException }
        $gone = $reason -is [IO.FileNotFoundException] -or $reason -is [IO.DirectoryNotFoundException]
        if ($reason -isnot [IO.IOException]) { throw $reason }
        $answer = if ($gone) { 'changed' } else { 'locked' }
    }
    if (-not $answer) {
        $memory = New-Object -TypeName IO.MemoryStream
        $held.CopyTo($memory)
        $before = $memory.ToArray()
        if ((Get-Sha256 $before) -ne $Sha256) { $answer = 'changed' }
    }
    if (-not $answer) {
        if ($Source) {
            $after = [IO.File]::ReadAllBytes($Source)
        }
        else {
            $memory = New-Object -TypeName IO.MemoryStream
            $middle = [Convert]::FromBase64String($Insert)
            $memory.Write($before, 0, $Start)
            $memory.Write($middle, 0, $middle.Length)
            $memory.Write($before, $End, $before.Length - $End)
            $after = $memory.ToArray()
        }
        Write-Private $new $after
        $numbers = @($Known | ForEach-Object -Process { $_.Split(' ')[0] })
        if (@(Get-Process -Name Tentacle -ErrorAction SilentlyContinue | Where-Object -FilterScript { $numbers -notcontains [string] $_.Id }).Count) {
            $answer = 'busy'
        }
    }
    if (-not $answer) {
        try {
            [IO.File]::Replace($new, $Path, $old)
        }
        catch {
            # The original may be left under the other name only (ERROR_UNABLE_TO_MOVE_REPLACEMENT_2).
            if (-not [IO.File]::Exists($Path) -and [IO.File]::Exists($old)) { [IO.File]::Move($old, $Path) }
            $reason = $_.Exception
            while ($reason.InnerException) { $reason = $reason.InnerException }
            if ($reason -isnot [IO.IOException]) { throw $reason }
            $answer = 'locked'
        }
    }
}
finally {
    if ($null -ne $held) { $held.Dispose() }
    foreach ($left in @($new, $old, $Source)) {
        if ($left -and [IO.File]::Exists($left)) { [IO.File]::Delete($left) }
    }
}
""",
)

# A copy for administrators only, of a file that is still what it was.
COPY = _script(
    """    [string] $Path,
    [string] $Sha256,
    [string] $To,
    [string] $Suffix,
    [bool] $Move = $false,
""",
    _WRITING,
    r"""
$answer = ''
$data = Read-Shared $Path
if ($Move) { [IO.File]::Delete($Path) }
if ((Get-Sha256 $data) -ne $Sha256) {
    $answer = 'changed'
}
else {
    [void] [IO.Directory]::CreateDirectory([IO.Path]::GetDirectoryName($To))
    $new = "$To$Suffix.new.tmp"
    try {
        Write-Private $new $data
        if ([IO.File]::Exists($To)) { [IO.File]::Delete($To) }
        [IO.File]::Move($new, $To)
    }
    finally {
        if ([IO.File]::Exists($new)) { [IO.File]::Delete($new) }
    }
}
""",
)

REMOVE = _script(
    """    [string] $Path,
""",
    "",
    r"""
$answer = ''
if ([IO.Directory]::Exists($Path)) { [IO.Directory]::Delete($Path, $true) } else { [IO.File]::Delete($Path) }
""",
)

# -- the keys of an Octopus Server

_STORE = """    [string] $Folder
)
"""

# Facts only; what of them leaves a folder open is judged on the controller. Who is asked about by number, since names are translated.
_KEEPING = r"""
function Get-Account([string] $Sid) {
    $shown = $Sid
    try {
        $shown = (New-Object -TypeName Security.Principal.SecurityIdentifier -ArgumentList $Sid).Translate([Security.Principal.NTAccount]).Value
    }
    catch {
        # An account that was deleted, or of a domain that does not answer.
        $shown = $Sid
    }
    @{ sid = $Sid; name = $shown }
}

function Get-Access([object] $Item) {
    $sections = [Security.AccessControl.AccessControlSections] 'Access, Owner'
    $rights = if ($PSVersionTable.PSVersion.Major -lt 6) {
        $Item.GetAccessControl($sections)
    }
    else {
        [IO.FileSystemAclExtensions]::GetAccessControl($Item, $sections)
    }
    $numbers = [Security.Principal.SecurityIdentifier]
    $rules = @($rights.GetAccessRules($true, $true, $numbers) | Where-Object -FilterScript { $_.AccessControlType -eq 'Allow' })
    $allowed = @($rules | ForEach-Object -Process { $_.IdentityReference.Value } | Select-Object -Unique)
    @{
        owner = Get-Account ($rights.GetOwner($numbers).Value)
        allowed = @($allowed | ForEach-Object -Process { Get-Account $_ })
    }
}

function New-Closed([string] $Place) {
    # Closed from the first moment: for the system and administrators, and for whatever will be in it.
    $rights = New-Object -TypeName Security.AccessControl.DirectorySecurity
    $rights.SetAccessRuleProtection($true, $false)
    foreach ($sid in 'S-1-5-18', 'S-1-5-32-544') {
        $who = New-Object -TypeName Security.Principal.SecurityIdentifier -ArgumentList $sid
        $kinds = 'ContainerInherit, ObjectInherit'
        $rule = New-Object -TypeName Security.AccessControl.FileSystemAccessRule -ArgumentList $who, 'FullControl', $kinds, 'None', 'Allow'
        $rights.AddAccessRule($rule)
    }
    # The last of them, administrators: not the account of the task, which may be another one next time.
    $rights.SetOwner($who)
    if ($PSVersionTable.PSVersion.Major -lt 6) {
        [void] [IO.Directory]::CreateDirectory($Place, $rights)
    }
    else {
        [void] [IO.FileSystemAclExtensions]::CreateDirectory($rights, $Place)
    }
}

function Move-Over([string] $From, [string] $To) {
    if ([IO.File]::Exists($To)) { [IO.File]::Replace($From, $To, [NullString]::Value) } else { [IO.File]::Move($From, $To) }
}

function Get-Store {
    $identity = [Security.Principal.WindowsIdentity]::GetCurrent()
    $cryptography = 'HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Cryptography'
    $view = [Microsoft.Win32.RegistryKey]::OpenBaseKey([Microsoft.Win32.RegistryHive]::LocalMachine, [Microsoft.Win32.RegistryView]::Registry64)
    $key = $view.OpenSubKey('Software\Octopus\OctopusServer')
    $found = @{
        elevated = ([Security.Principal.WindowsPrincipal] $identity).IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)
        machine = [Environment]::MachineName + ' ' + [Microsoft.Win32.Registry]::GetValue($cryptography, 'MachineGuid', '')
        location = if ($null -ne $key) { [string] $key.GetValue('InstallLocation') } else { '' }
        account = $identity.User.Value
        exists = $false
        link = $false
        access = $null
        files = @()
        folders = @()
    }
    $item = Get-Item -LiteralPath $Folder -Force -ErrorAction SilentlyContinue
    if (-not $found.elevated -or $item -isnot [IO.DirectoryInfo]) {
        return $found
    }
    $found.exists = $true
    $found.link = ($item.Attributes -band [IO.FileAttributes]::ReparsePoint) -ne 0
    $found.access = Get-Access $item
    $found.files = @(foreach ($file in $item.GetFiles()) {
            $wanted = $file.Name -match '\.(pfx|json)$' -and $file.Length -le 1MB
            $data = if ($wanted) { [Convert]::ToBase64String([IO.File]::ReadAllBytes($file.FullName)) } else { $null }
            @{ name = $file.Name; size = $file.Length; data = $data; access = Get-Access $file }
        })
    $found.folders = @(foreach ($inner in $item.GetDirectories('private-*')) {
            @{ name = $inner.Name; files = @($inner.GetFiles() | ForEach-Object -Process { @{ name = $_.Name; size = $_.Length } }) }
        })
    $found
}
"""

_KEPT = """
$Ansible.Changed = $false
$Ansible.Result = @{ answer = $answer; store = Get-Store }
"""


def _key_script(parameters: str, body: str, checked: bool = False) -> str:
    binding = "SupportsShouldProcess = $true" if checked else ""
    return f"[CmdletBinding({binding})]\nparam (\n{parameters}{_STORE}{_KEEPING}{body}{_KEPT}"


STORE = _key_script("", "\n$answer = ''\n", checked=True)

# A fresh folder for what the vendor's tool writes and reads, inside the store. What runs that were killed have left goes first:
# those of this controller (``$Mine``, which holds its lock meanwhile), and whoever's after a day.
PRIVATE = _key_script(
    """    [string] $Name,
    [string] $Mine,
""",
    r"""
$answer = ''
if (-not [IO.Directory]::Exists($Folder)) { New-Closed $Folder }
$yesterday = [datetime]::UtcNow.AddDays(-1)
foreach ($left in (Get-Item -LiteralPath $Folder -Force).GetDirectories('private-*')) {
    if ($left.Name.StartsWith($Mine, [StringComparison]::Ordinal) -or $left.CreationTimeUtc -lt $yesterday) {
        # A program that a killed run has left may still have a file there open; then it is swept by the next one.
        try { $left.Delete($true) } catch { $answer = $_.Exception.Message }
    }
}
New-Closed ([IO.Path]::Combine($Folder, $Name))
""",
)

# What is no secret: a note beside a PFX, the journal.
WRITE = _key_script(
    """    [string] $Path,
    [string] $Text,
    [string] $Suffix,
""",
    r"""
$answer = ''
if (-not [IO.Directory]::Exists($Folder)) { New-Closed $Folder }
$new = "$Path$Suffix.new.tmp"
$data = (New-Object -TypeName Text.UTF8Encoding -ArgumentList $false).GetBytes($Text)
try {
    $stream = New-Object -TypeName IO.FileStream -ArgumentList $new, ([IO.FileMode]::CreateNew), ([IO.FileAccess]::Write), ([IO.FileShare]::None)
    try {
        $stream.Write($data, 0, $data.Length)
        $stream.Flush($true)
    }
    finally {
        $stream.Dispose()
    }
    Move-Over $new $Path
}
finally {
    if ([IO.File]::Exists($new)) { [IO.File]::Delete($new) }
}
""",
)

# What a private folder has received, into the store around it.
KEEP = _key_script(
    """    [string] $Source,
    [string] $Path,
""",
    r"""
$answer = ''
$stream = New-Object -TypeName IO.FileStream -ArgumentList $Source, ([IO.FileMode]::Open), ([IO.FileAccess]::ReadWrite), ([IO.FileShare]::None)
try { $stream.Flush($true) } finally { $stream.Dispose() }
Move-Over $Source $Path
""",
)

ERASE = _key_script(
    """    [string] $Path,
""",
    r"""
$answer = ''
$deadline = [datetime]::UtcNow.AddSeconds(10)
while ([IO.Directory]::Exists($Path) -or [IO.File]::Exists($Path)) {
    try {
        if ([IO.Directory]::Exists($Path)) { [IO.Directory]::Delete($Path, $true) } else { [IO.File]::Delete($Path) }
    }
    catch {
        # A scanner of viruses may hold for a moment what has just been written.
        if ([datetime]::UtcNow -ge $deadline) { throw }
        Start-Sleep -Milliseconds 200
    }
}
""",
)
