; Windows installer of the one-folder app, for one user, without administrator rights.
; makensis -WX -DVERSION=0.1.0 -DPAYLOAD=C:\full\path\dist\aigc-desktop packaging\windows\installer.nsi
; (makensis reads relative paths from the folder of this script.)
; NSIS holds 2 GB at most: this is the installer of the processor build.

Unicode true
!include "MUI2.nsh"
!include "FileFunc.nsh"
!include "WinVer.nsh"
!include "x64.nsh"

!ifndef VERSION
  !error "name the version: -DVERSION=0.1.0"
!endif
!ifndef PAYLOAD
  !error "name the folder of the app: -DPAYLOAD=dist\aigc-desktop"
!endif
!ifndef OUTPUT
  !define OUTPUT "../../dist/aigc-desktop-${VERSION}-setup.exe"
!endif
!define UNINSTALL_KEY "Software\Microsoft\Windows\CurrentVersion\Uninstall\AIGCDesktop"

Name "AIGC Desktop"
OutFile "${OUTPUT}"
InstallDir "$LOCALAPPDATA\Programs\AIGC Desktop"
InstallDirRegKey HKCU "Software\AIGC Desktop" "InstallDir"
RequestExecutionLevel user
SetCompressor /SOLID zlib
ManifestDPIAware true
VIProductVersion "${VERSION}.0"
VIAddVersionKey /LANG=1033 "ProductName" "AIGC Desktop"
VIAddVersionKey /LANG=1033 "FileDescription" "Installer of AIGC Desktop"
VIAddVersionKey /LANG=1033 "FileVersion" "${VERSION}"
VIAddVersionKey /LANG=1033 "LegalCopyright" "AIGC Desktop developers, Apache-2.0"

!define MUI_ICON "../../resources/icons/app.ico"
!define MUI_UNICON "../../resources/icons/app.ico"
!define MUI_ABORTWARNING
!define MUI_FINISHPAGE_RUN "$INSTDIR\aigc-desktop.exe"
!insertmacro MUI_PAGE_LICENSE "../../LICENSE"
!insertmacro MUI_PAGE_DIRECTORY
!insertmacro MUI_PAGE_INSTFILES
!insertmacro MUI_PAGE_FINISH
!insertmacro MUI_UNPAGE_CONFIRM
!insertmacro MUI_UNPAGE_INSTFILES
!insertmacro MUI_LANGUAGE "English"
!insertmacro MUI_LANGUAGE "SimpChinese"

LangString TooOld ${LANG_ENGLISH} "AIGC Desktop needs 64-bit Windows 10 or 11."
LangString TooOld ${LANG_SIMPCHINESE} "AIGC Desktop 需要 64 位的 Windows 10 或 11。"
LangString Running ${LANG_ENGLISH} "AIGC Desktop is open. Close it and try again."
LangString Running ${LANG_SIMPCHINESE} "AIGC Desktop 正在运行，请先关闭它再重试。"
LangString Foreign ${LANG_ENGLISH} "This folder holds other files. Choose an empty folder."
LangString Foreign ${LANG_SIMPCHINESE} "这个文件夹里有其他文件，请选择一个空文件夹。"

; A program that runs keeps its file open, so it cannot be opened for writing.
!macro StopIfRunning PROGRAM
  ${If} ${FileExists} "$INSTDIR\${PROGRAM}"
    ClearErrors
    FileOpen $0 "$INSTDIR\${PROGRAM}" a
    ${If} ${Errors}
      MessageBox MB_OK|MB_ICONEXCLAMATION "$(Running)" /SD IDOK
      Abort
    ${EndIf}
    FileClose $0
  ${EndIf}
!macroend

Function .onInit
  ${IfNot} ${RunningX64}
  ${OrIfNot} ${AtLeastWin10}
    MessageBox MB_OK|MB_ICONSTOP "$(TooOld)" /SD IDOK
    Abort
  ${EndIf}
FunctionEnd

Function .onVerifyInstDir
  ; Uninstalling removes the folder, so it must be ours or new.
  ${If} ${FileExists} "$INSTDIR\*.*"
  ${AndIfNot} ${FileExists} "$INSTDIR\aigc-desktop.exe"
    ${DirState} "$INSTDIR" $0
    ${If} $0 = 1
      Abort
    ${EndIf}
  ${EndIf}
FunctionEnd

Section "AIGC Desktop"
  !insertmacro StopIfRunning "aigc-desktop.exe"
  !insertmacro StopIfRunning "aigc-desktop-cli.exe"
  ${If} ${FileExists} "$INSTDIR\*.*"
  ${AndIfNot} ${FileExists} "$INSTDIR\aigc-desktop.exe"
    ${DirState} "$INSTDIR" $0
    ${If} $0 = 1
      MessageBox MB_OK|MB_ICONSTOP "$(Foreign)" /SD IDOK
      Abort
    ${EndIf}
  ${EndIf}
  RMDir /r "$INSTDIR\_internal" ; files of an older version must not mix with the new ones
  SetOutPath "$INSTDIR"
  File /r "${PAYLOAD}/*"
  CreateShortcut "$SMPROGRAMS\AIGC Desktop.lnk" "$INSTDIR\aigc-desktop.exe"
  WriteUninstaller "$INSTDIR\uninstall.exe"
  WriteRegStr HKCU "Software\AIGC Desktop" "InstallDir" "$INSTDIR"
  WriteRegStr HKCU "${UNINSTALL_KEY}" "DisplayName" "AIGC Desktop"
  WriteRegStr HKCU "${UNINSTALL_KEY}" "DisplayVersion" "${VERSION}"
  WriteRegStr HKCU "${UNINSTALL_KEY}" "Publisher" "AIGC Desktop developers"
  WriteRegStr HKCU "${UNINSTALL_KEY}" "InstallLocation" "$INSTDIR"
  WriteRegStr HKCU "${UNINSTALL_KEY}" "DisplayIcon" "$INSTDIR\aigc-desktop.exe"
  WriteRegStr HKCU "${UNINSTALL_KEY}" "UninstallString" '"$INSTDIR\uninstall.exe"'
  WriteRegStr HKCU "${UNINSTALL_KEY}" "QuietUninstallString" '"$INSTDIR\uninstall.exe" /S'
  WriteRegDWORD HKCU "${UNINSTALL_KEY}" "NoModify" 1
  WriteRegDWORD HKCU "${UNINSTALL_KEY}" "NoRepair" 1
  ${GetSize} "$INSTDIR" "/S=0K" $0 $1 $2
  IntFmt $0 "0x%08X" $0
  WriteRegDWORD HKCU "${UNINSTALL_KEY}" "EstimatedSize" "$0"
SectionEnd

Section "Uninstall"
  !insertmacro StopIfRunning "aigc-desktop.exe"
  !insertmacro StopIfRunning "aigc-desktop-cli.exe"
  ; The user's workspace lies in Documents and stays.
  RMDir /r "$INSTDIR\_internal"
  Delete "$INSTDIR\aigc-desktop.exe"
  Delete "$INSTDIR\aigc-desktop-cli.exe"
  Delete "$INSTDIR\uninstall.exe"
  RMDir "$INSTDIR"
  Delete "$SMPROGRAMS\AIGC Desktop.lnk"
  DeleteRegKey HKCU "${UNINSTALL_KEY}"
  DeleteRegKey HKCU "Software\AIGC Desktop"
SectionEnd
